internal import LanguageModel

extension TrainOptions {
  /// The text of `--help`.
  static var help: String {
    let defaults = TrainerConfiguration()
    return """
      train-lm trains a small GPT on the characters of a text, with checkpoints.

      usage: train-lm [--output_dir DIR] [--resume_from_checkpoint] [options]

      Kill it at any moment and run the same command with --resume_from_checkpoint: it
      goes on from the newest intact checkpoint, bit for bit.

      data and checkpoints                                             default
        --data PATH                     a text file, or a directory of docs
                                        .md and .txt files
        --output_dir DIR                where checkpoints go           runs/train-lm
        --save_strategy S               steps, epoch, best (when the   steps
                                        metric improves) or no
        --save_steps N                  save after every N steps       100
        --save_overhead_budget X        save as often as X of the time
                                        allows, 0.03 for 3 %
        --async_save [wait|skip|postpone]
                                        train on while a copy is saved;
                                        what to do with a save that is
                                        due meanwhile: without a value
                                        wait
        --save_total_limit N            keep the newest N; 0 keeps all 0
        --save_byte_budget SIZE         keep fewer where they have     no limit
                                        more bytes: 500M, 20G
        --metric_for_best_model NAME    eval_loss or loss              eval_loss
        --greater_is_better [true|false]                               false
        --load_best_model_at_end        keep the best as well, and go
                                        back to it after the last step
        --save_on_preemption            on SIGTERM, SIGINT and SIGUSR1
                                        save and exit with 75
        --max_minutes X                 stop in the same way in time
        --resume_from_checkpoint [latest|healthy|best|never|STEP|PATH]
                                        without a value: latest        a fresh run
        --resume_check strict|warn|dry-run                             warn
                                        refuse what changes the course
                                        of the run, tell it, or only
                                        show how everything compares
        --validate_resume [TOLERANCE]   measure the held-out loss      not measured
                                        again, and stop if it is not
                                        what it was
        --set_aside_damaged             rename damaged checkpoints
                                        that a resume passes over
        --init_from PATH                begin a fresh run with the
                                        model of another one
        --health_check                  mark checkpoints with NaN,
                                        infinity, or a spike of loss:
                                        'healthy' passes over them
        --on_full_disk go-on|wait|stop  wait: up to an hour; stop:     go-on
                                        end at any failed save
        --space_check warn|refuse|off   whether all will fit           warn
        --overwrite_output_dir          a fresh run over old
                                        checkpoints, which age by
                                        retention
        --lock_timeout SECONDS          wait for another writer        0

      training
        --max_steps N                   optimizer steps in all         \(defaults.maxSteps)
        --batch_size N                  windows in a batch             \(defaults.batchSize)
        --gradient_accumulation_steps N batches in a step              \
      \(defaults.gradientAccumulationSteps)
        --learning_rate X               after the warm-up              \(defaults.learningRate)
        --min_learning_rate X           at the last step               \
      \(defaults.minimumLearningRate)
        --warmup_steps N                                               \(defaults.warmupSteps)
        --schedule_steps N              when the learning rate is at   max_steps, or
                                        its minimum                    as it was
        --weight_decay X                of matrices                    \(defaults.weightDecay)
        --dropout X                                                    \(defaults.dropout)
        --seed N                                                       \(defaults.seed)
        --threads N                     the result is the same         \(defaults.threads)

      model
        --block_size N                  characters in a window         \(defaults.blockSize)
        --n_layer N                     transformer blocks             \(defaults.layerCount)
        --n_head N                      attention heads                \(defaults.headCount)
        --n_embd N                      width                          \(defaults.embeddingSize)
        --untied_head                   an output head of its own      tied

      output
        --eval_steps N                  evaluate after every N steps   200
        --logging_steps N               a step event every N steps     20
        --help, --version, --man, --completion bash|zsh

      --resume_from_checkpoint outweighs --overwrite_output_dir. --data and
      --output_dir are relative to where the program is started; the data must stay
      the same over a run. The last step is always saved.

      Standard output has one JSON object a line: started, warm_started, resumed,
      resume_check, step, eval, save_started, saved, save_failed, waiting_for_space,
      emergency, stopped, done, best_loaded. Progress is on standard error. If the loss
      is no number any more, the run ends, and unless the step before is saved it leaves
      what it has come to beside its checkpoints, as '.emergency'. Hyphens and underscores in option names are alike.

      exit status: 0 done, 1 error, 64 usage, 75 stopped early: run the same command
      with --resume_from_checkpoint to go on
      """
  }
}
