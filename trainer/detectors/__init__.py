"""Each detector is a folder of its own, named in ``registry``."""
