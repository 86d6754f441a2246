"""Bounds on what is read from files, checked before the memory for it is taken."""

# A COCO file of all of Open Images takes 3 GB.
MAX_TEXT_BYTES = 2**32
# Characters in a line of a CSV file.
MAX_LINE = 2**20
# Pixels that the header of an image may declare; decoded they take 800 MB.
MAX_PIXELS = 2**28
# The file of an image: as large as the pixels without compression, and some room.
MAX_IMAGE_BYTES = 2**30
# An image from a server, all of which is kept in memory.
MAX_DOWNLOADED_IMAGE_BYTES = 2**27
# Labels below the highest one that no class has. Real data has gaps: a few of the 1203 classes of
# LVIS with their ids, 90 ids for the 80 classes of COCO. Each costs as many weights as a class.
MAX_UNUSED_LABELS = 2000
# Pixels; no image is larger. Sums and areas of such numbers stay finite.
MAX_COORDINATE = 1e9
# An .ini file: a hundred times a usual one. Python's parser needs seconds for a few times more.
MAX_CONFIG_BYTES = 2**16
# Characters of a path, which Linux bounds too.
MAX_PATH = 4096
# A description such as a YOLO data.yaml or a tree of classes: ten times the largest that we have
# seen. Parsed, each byte may take a hundred.
MAX_DESCRIPTION_BYTES = 2**22
# The objects of one image, in XML or text: 50,000 boxes, or 1,000 outlines of 800 points.
MAX_LABEL_BYTES = 2**24
# What was found on one image, as JSON: two million objects.
MAX_RECORD_BYTES = 2**28
# Values in a YAML file, where an alias counts as all that it stands for. Names and labels of the
# 21,000 classes of ImageNet are 42,000.
MAX_YAML_VALUES = 50_000
# Archives and HDF5 files: bytes that the contents may declare for each byte of the file. Weights
# hardly compress; the zeros of fresh optimizer state do, three quarters of a file.
MAX_EXPANSION = 20
# Contents that may be declared whatever the size of the file.
MIN_CONTENTS_BYTES = 2**24
# Members of an archive; a .keras file has three.
MAX_ARCHIVE_MEMBERS = 1000
# The configuration of a model takes about 1 kB per layer.
MAX_MODEL_CONFIG_BYTES = 2**23
# Groups, datasets, attributes and names in an HDF5 file; snapshots of hundreds of layers have 5000.
MAX_HDF5_OBJECTS = 50_000
# Groups inside each other; snapshots have 10.
MAX_HDF5_DEPTH = 64
# Numbers in a model for each one in its file. Optimizer state that the file does not hold, such as
# that of Adam with AMSGrad, is three times the weights.
MAX_NUMBERS_PER_STORED = 4
# Numbers that a model may have whatever its file holds: random states, counters, metrics.
MIN_MODEL_NUMBERS = 2**20
# A cache of image sizes or boxes; that of all of Open Images takes 0.6 GB.
MAX_CACHE_BYTES = 2**32
# A checkpoint of another library; a ResNeXt-101 with the state of Adam takes about 1.2 GB.
MAX_CHECKPOINT_BYTES = 2**32
# Bytes of all tensors for each byte of a checkpoint. Tensors may share their values, or repeat one.
MAX_TENSOR_EXPANSION = 4
# Bytes of tensors that may be declared whatever the size of the file.
MIN_TENSOR_BYTES = 2**24
# NumPy before 2.0 allowed no more; weights have 4.
MAX_TENSOR_DIMENSIONS = 32
# Elements, and places in a storage.
MAX_TENSOR_ELEMENTS = 2**40
# Storages and other members of a zip checkpoint; a ResNeXt-101 with that state has about 1300.
MAX_CHECKPOINT_MEMBERS = 20_000
# Steps of a pickle: 35 for each tensor, so about 50,000 for such a ResNeXt-101.
MAX_PICKLE_STEPS = 2**19
# Text in a pickle that is not Latin-1, and so takes more memory than in the file.
MAX_PICKLE_TEXT_BYTES = 2**24
# Values in what a checkpoint tells of itself; the names and colours of 80 classes are 400.
MAX_META_VALUES = 10_000
# The JSON header of a .safetensors file, which takes 100 bytes for each tensor.
MAX_SAFETENSORS_HEADER = 2**22
