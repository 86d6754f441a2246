"""What the readers of annotations share: text, tables of boxes, image sizes, file layouts."""
