"""What the user can put right.

HookNetError                    the command line prints it as one line, exit status 2
 +- ConfigError     (ValueError)   a YAML file or a sheet of slides
 +- AnnotationError (ValueError)   an XML or GeoJSON file
 +- SlideError      (OSError)      a slide
 +- MaskError       (ValueError)   a raster, or two rasters that do not fit
 +- ShapeError      (ValueError)   patch sizes and spacings that would misalign
 +- CheckpointError (ValueError)   weights that do not fit the settings
 +- DiskError       (OSError)      a file that cannot be written: no fault of the slide it would be of

A message says, in one line: place, what was found, what was wanted, what to do.  Anything that is not a
HookNetError keeps its traceback: it is our bug.
"""


class HookNetError(Exception):
    """Anything the user can put right."""


class ConfigError(HookNetError, ValueError):
    """A configuration file asks for something that cannot be done."""


class AnnotationError(HookNetError, ValueError):
    """An annotation file that cannot be used as it is."""


class SlideError(HookNetError, OSError):
    """A slide that is missing, cannot be read, or does not say its spacing."""


class MaskError(HookNetError, ValueError):
    """A raster that is not a label mask, or two rasters that do not fit each other."""


class ShapeError(HookNetError, ValueError):
    """A patch size or spacings that would misalign feature maps."""


class CheckpointError(HookNetError, ValueError):
    """Weights that are damaged or do not fit the settings."""


class DiskError(HookNetError, OSError):
    """A file that cannot be written."""
