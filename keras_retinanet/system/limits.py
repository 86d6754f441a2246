"""Bounds on what is read from files, checked before the memory for it is taken."""

# A COCO file of all of Open Images takes 3 GB.
MAX_TEXT_BYTES = 2**32
# Pixels that the header of an image may declare; decoded they take 800 MB.
MAX_PIXELS = 2**28
# The file of an image: as large as the pixels without compression, and some room.
MAX_IMAGE_BYTES = 2**30
