// What a training program writes is `import CheckpointTraining`, and nothing else.
@_exported public import CheckpointEngine
