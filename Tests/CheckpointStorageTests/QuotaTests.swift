import CheckpointStorage
import Testing

// Goal: the room that a quota leaves is computed rightly. Whether a kernel tells it is not tested: that of
// the machines that run these tests has no quotas.
@Suite struct QuotaTests {
  @Test func whatIsLeftIsTheLimitLessWhatIsUsed() {
    #expect(Quota.left(hardLimit: 0, softLimit: 0, used: 5) == nil)
    #expect(Quota.left(hardLimit: 10, softLimit: 0, used: 240) == 10_000)
    #expect(Quota.left(hardLimit: 10, softLimit: 2, used: 240) == 10_000)
    #expect(Quota.left(hardLimit: 0, softLimit: 2, used: 48) == 2_000)
    #expect(Quota.left(hardLimit: 1, softLimit: 0, used: 1024) == 0)
    #expect(Quota.left(hardLimit: 1, softLimit: 0, used: 9999) == 0)
    #expect(Quota.left(hardLimit: .max, softLimit: 0, used: 1) == nil)
  }
}
