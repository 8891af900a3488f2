/// Whether training waits for a save.
public enum SaveMode: Hashable, Sendable {
  /// Until the checkpoint is durable.
  case blocking
  /// Until the state is copied; a thread of the manager saves the copy.
  ///
  /// The copy is memory of the size of the state, kept from save to save. What `save(to:)` provides is
  /// copied before `stepCompleted` returns, so that training may change it at once. One save is under
  /// way at a time. Its threads stand behind those of training where processors are short.
  case background(whenBusy: BusyRule = .wait)

  /// What happens to a save that is due while the one before is still under way.
  public enum BusyRule: Hashable, Sendable {
    /// Training waits for the one before.
    case wait
    /// It is left out, and the next is made when that is due.
    case skip
    /// It is made after the first step at which the one before has ended.
    case postpone
  }
}
