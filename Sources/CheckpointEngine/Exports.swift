// A program that imports this module names dtypes, shapes, limits and devices; it should not have
// to know in which of our modules they are declared.
@_exported public import CheckpointFormat
@_exported public import CheckpointStorage
