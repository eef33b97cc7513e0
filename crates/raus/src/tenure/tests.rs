use coord_core::{
    clock::TokioClock,
    heartbeat::{Renew as _, Verdict},
    history::{Policy, Terms},
    lease::Timing,
    namespace::Namespace,
    store::{Command, Reply},
};
use uuid::Uuid;

use super::*;
use crate::{chain::Entropy, event::Events, keys::Keys, protocol::Longest, renewal::Renewal};

/// A minter that keeps a diary.
#[derive(Debug, Default)]
struct Diary {
    entries: Mutex<Vec<String>>,
    last: Mutex<Option<u64>>,
}

impl Diary {
    fn note(&self, entry: String) {
        self.entries.lock().expect("not poisoned").push(entry);
    }

    fn read(&self) -> Vec<String> {
        std::mem::take(&mut *self.entries.lock().expect("not poisoned"))
    }
}

impl Minter for Diary {
    fn layout(&self) -> String {
        LAYOUT.to_owned()
    }

    fn grant(&self, grant: &Grant) {
        let Grant {
            machine_id,
            fence,
            floor_ms,
            horizon_ms,
            delay,
        } = grant;
        self.note(format!(
            "grant {machine_id} {fence} {floor_ms} {horizon_ms} {delay:?}"
        ));
    }

    fn extend(&self, fence: u64, horizon_ms: u64) {
        self.note(format!("extend {fence} {horizon_ms}"));
    }

    fn last_minted_ms(&self) -> Option<u64> {
        *self.last.lock().expect("not poisoned")
    }

    fn revoke(&self, loss: &Loss) {
        self.note(format!("revoke {}: {}", loss.id, loss.cause));
    }

    fn close(&self) -> Option<u64> {
        self.note("close".to_owned());
        self.last_minted_ms().map(|last| last + 1)
    }
}

const WALL_MS: u64 = 1_800_000_000_000;
const LAYOUT: &str = "41/10/12";
/// Of the slot that [`slot`] makes.
const FENCE: u64 = 9;

fn slot(number: u32) -> Slot {
    Slot {
        number,
        holder: Uuid::from_u128(7),
        fence: FENCE,
        floor_ms: WALL_MS - 100,
        horizon_ms: WALL_MS + 6_000,
        server_ms: WALL_MS,
    }
}

fn granted(slot: Slot) -> Granted {
    Granted {
        slot,
        sent: Instant::from_boot(Duration::ZERO),
        chain: Chain::new(Entropy::Seeded(fastrand::Rng::with_seed(1))),
        layout: String::new(),
    }
}

fn tenure(slot: Slot) -> (Arc<Tenure>, Events) {
    let seconds = Duration::from_secs;
    let identity = Identity {
        keys: Keys::new(&Namespace::new("ns").expect("valid"), false),
        label: String::new(),
        timing: Timing::new(seconds(6), seconds(1)).expect("valid"),
        policy: Policy::new(Terms::new(seconds(6), seconds(15), seconds(10))),
        acknowledge: 0,
        longest: Longest::default(),
    };
    let clock = Arc::new(TokioClock::new(Duration::from_millis(WALL_MS)));
    let tenure = Arc::new(Tenure::new(identity, clock, &granted(slot)));
    let events = Events::new(tenure.events.subscribe());
    (tenure, events)
}

fn attach(tenure: &Tenure, diary: &Arc<Diary>) -> Result<(), AttachError> {
    tenure.attach(Arc::<Diary>::clone(diary), LAYOUT.to_owned())
}

fn attached(slot: Slot) -> (Arc<Tenure>, Events, Arc<Diary>) {
    let (tenure, events) = tenure(slot);
    let diary = Arc::new(Diary::default());
    attach(&tenure, &diary).expect("the first");
    diary.read();
    (tenure, events, diary)
}

fn renewed(horizon_ms: u64, server_ms: u64) -> Renewed {
    Renewed {
        horizon_ms,
        server_ms,
        longest: Terms::default(),
    }
}

fn reply(words: &str) -> Result<Reply, StoreError> {
    let word = |word: &str| Reply::Bytes(word.as_bytes().to_vec());
    Ok(Reply::Array(words.split(',').map(word).collect()))
}

fn refused() -> StoreError {
    StoreError::Refused {
        operation: "publish",
        address: "somewhere".to_owned(),
        code: "NOPERM".to_owned(),
        detail: "no channel".to_owned(),
    }
}

/// The next event, which has happened already.
async fn next(events: &mut Events) -> Event {
    let soon = tokio::time::timeout(Duration::from_millis(1), events.next());
    soon.await.expect("it has happened").expect("not the end")
}

async fn none(events: &mut Events) -> bool {
    let soon = tokio::time::timeout(Duration::from_millis(1), events.next());
    soon.await.is_err()
}

#[tokio::test(start_paused = true)]
async fn a_minter_learns_its_grant_and_there_is_one_only() {
    let (tenure, _events) = tenure(slot(4));
    let diary = Arc::new(Diary::default());
    attach(&tenure, &diary).expect("the first");
    let granted = format!("grant 4 9 {} {} 0ns", WALL_MS - 100, WALL_MS + 6_000);
    assert_eq!(diary.read(), [granted]);
    let second = attach(&tenure, &diary);
    assert!(matches!(second, Err(AttachError::Attached { id: 4 })));
    assert!(diary.read().is_empty());
}

/// A former holder left a horizon that lies ahead of the server's clock by more than is tolerated.
#[tokio::test(start_paused = true)]
async fn a_floor_far_ahead_is_waited_for_as_far_as_it_is_not_tolerated() {
    let far = Slot {
        floor_ms: WALL_MS + 10_250,
        horizon_ms: WALL_MS + 20_000,
        ..slot(4)
    };
    let (tenure, _events) = tenure(far);
    let diary = Arc::new(Diary::default());
    attach(&tenure, &diary).expect("the first");
    assert!(diary.read()[0].ends_with(" 250ms"));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_raises_the_horizon_and_never_lowers_it() {
    let (tenure, mut events, diary) = attached(slot(4));
    tenure.handle_renewed(FENCE, 1, WALL_MS, &renewed(WALL_MS + 7_000, WALL_MS));
    assert_eq!(
        diary.read(),
        [format!("extend {FENCE} {}", WALL_MS + 7_000)]
    );
    for lower in [WALL_MS + 7_000, WALL_MS + 6_999] {
        tenure.handle_renewed(FENCE, 1, WALL_MS, &renewed(lower, WALL_MS));
        assert!(diary.read().is_empty());
    }
    assert_eq!(tenure.slot().horizon_ms, WALL_MS + 7_000);
    assert!(none(&mut events).await);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_is_told_when_that_begins() {
    let (tenure, mut events) = tenure(slot(4));
    let at = |skew_ms: u64| {
        tenure.handle_renewed(FENCE, 1, WALL_MS - skew_ms, &renewed(WALL_MS, WALL_MS));
    };
    at(10_000);
    assert!(none(&mut events).await, "so much is tolerated");
    at(10_001);
    let event = next(&mut events).await;
    assert!(matches!(event, Event::ClockSkewed { skew } if skew.as_millis() == 10_001));
    at(10_002);
    assert!(none(&mut events).await, "it was told");
    at(0);
    assert!(none(&mut events).await);
    at(10_001);
    assert!(
        matches!(next(&mut events).await, Event::ClockSkewed { .. }),
        "again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_horizon_that_cannot_be_raised_is_told_once() {
    let (tenure, mut events) = tenure(slot(4));
    for _ in 0..2 {
        tenure.handle_stuck(FENCE, 1, WALL_MS, "OOM".to_owned());
    }
    let event = next(&mut events).await;
    assert!(matches!(event, Event::HorizonStuck { id: 4, error } if error == "OOM"));
    assert!(none(&mut events).await);
    tenure.handle_renewed(FENCE, 1, WALL_MS, &renewed(WALL_MS + 7_000, WALL_MS));
    tenure.handle_stuck(FENCE, 1, WALL_MS, "OOM".to_owned());
    assert!(
        matches!(next(&mut events).await, Event::HorizonStuck { .. }),
        "anew"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_announcement_is_told_once_and_a_failed_one_never() {
    let (tenure, mut events) = tenure(slot(4));
    tenure.handle_announced(None);
    tenure.handle_announced(Some(&StoreError::unexpected("publish", &Reply::Nil)));
    assert!(none(&mut events).await);
    for _ in 0..2 {
        tenure.handle_announced(Some(&refused()));
    }
    assert!(matches!(
        next(&mut events).await,
        Event::AnnouncementRefused { .. }
    ));
    assert!(none(&mut events).await);
}

/// The store knows what an acknowledged horizon leaves open; whoever minted less may leave less behind.
#[tokio::test(start_paused = true)]
async fn what_was_minted_is_never_below_the_floor_and_is_left_behind() {
    let (tenure, _events, diary) = attached(slot(4));
    let last = |tenure: &Tenure| tenure.state().last_minted_ms();
    assert_eq!(last(&tenure), WALL_MS - 100);
    assert_eq!(tenure.close(), Leaves::Unknown, "the minter does not know");
    *diary.last.lock().expect("not poisoned") = Some(WALL_MS + 50);
    assert_eq!(last(&tenure), WALL_MS + 50);
    assert_eq!(tenure.close(), Leaves::Exactly(WALL_MS + 51));
    assert_eq!(diary.read(), ["close", "close"]);
    // Without a minter: up to now, for all that is known, or to where the clock was before it was set back.
    let (without, _events) = self::tenure(slot(4));
    assert_eq!(without.close(), Leaves::Exactly(WALL_MS + 1));
    without.next_renewal(FENCE, WALL_MS + 900).expect("current");
    assert_eq!(without.close(), Leaves::Exactly(WALL_MS + 901));
}

/// Issue 13, A7: a renewal of the old slot, answered when the next one is there, says nothing of the new one.
#[tokio::test(start_paused = true)]
async fn what_is_said_of_an_earlier_grant_counts_for_nothing() {
    let (tenure, mut events, diary) = attached(slot(4));
    tenure.handle_expired(FENCE);
    next(&mut events).await;
    let other = Slot {
        fence: FENCE + 1,
        ..slot(5)
    };
    tenure.install(&granted(other));
    assert!(diary.read()[0].starts_with("grant 5 10 "));
    tenure.handle_renewed(FENCE, 1, WALL_MS, &renewed(WALL_MS + 90_000, WALL_MS));
    tenure.handle_stuck(FENCE, 1, WALL_MS, "OOM".to_owned());
    tenure.handle_failed(FENCE, refused());
    tenure.handle_at_risk(FENCE, Instant::from_boot(Duration::ZERO));
    tenure.handle_expired(FENCE);
    tenure.handle_taken(FENCE, LossCause::Foreign);
    assert!(tenure.next_renewal(FENCE, WALL_MS).is_none());
    assert!(diary.read().is_empty() && none(&mut events).await);
    assert_eq!(tenure.slot(), other);
    assert!(matches!(&*tenure.status().borrow(), Status::Held));
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_is_anothers_stops_its_minter_and_an_expired_lease_does_not() {
    let (tenure, mut events, diary) = attached(slot(4));
    tenure.handle_failed(FENCE, refused());
    assert!(matches!(
        next(&mut events).await,
        Event::RenewalFailed { id: 4, .. }
    ));
    tenure.handle_at_risk(FENCE, Instant::from_boot(Duration::from_secs(5)));
    let event = next(&mut events).await;
    assert!(matches!(
        event,
        Event::AtRisk {
            id: 4,
            cause: Some(_),
            ..
        }
    ));
    tenure.handle_expired(FENCE);
    assert!(diary.read().is_empty(), "its horizon bounds it");
    let event = next(&mut events).await;
    assert!(matches!(
        event,
        Event::Lost(Loss {
            id: 4,
            cause: LossCause::Expired { error: Some(_) },
            ..
        })
    ));
    assert!(matches!(&*tenure.status().borrow(), Status::Lost(_)));
    tenure.handle_taken(FENCE, LossCause::Foreign);
    assert_eq!(diary.read().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_went_away_is_a_loss_unless_all_was_over() {
    let (tenure, mut events, _diary) = attached(slot(4));
    tenure.handle_abandoned();
    assert!(matches!(
        next(&mut events).await,
        Event::Lost(Loss {
            cause: LossCause::Abandoned,
            ..
        })
    ));
    tenure.handle_abandoned();
    assert!(none(&mut events).await);
}

#[tokio::test(start_paused = true)]
async fn the_end_is_the_last_event_and_waiters_learn_of_it() {
    let (tenure, mut events, _diary) = attached(slot(4));
    tenure.finish(Event::Released { id: 4, fence: 9 });
    assert!(matches!(&*tenure.status().borrow(), Status::Released));
    assert!(matches!(next(&mut events).await, Event::Released { .. }));
    assert!(events.next().await.is_none());
    let late = Arc::new(Diary::default());
    let (tenure, _events) = self::tenure(slot(4));
    tenure.finish(Event::Released { id: 4, fence: 9 });
    attach(&tenure, &late).expect("the first");
    assert_eq!(late.read(), ["close"], "whoever comes late learns it too");
}

/// What a reply to a renewal means: for the lease, and for the next renewal.
#[tokio::test(start_paused = true)]
async fn each_answer_to_a_renewal_means_one_thing() {
    for (words, verdict) in [
        (
            "renewed,1800000007000,1800000001000,1 2 3",
            Verdict::Acknowledged,
        ),
        (
            "reasserted,1800000007000,1800000001000,1 2 3",
            Verdict::Acknowledged,
        ),
        (
            "capped,1800000006000,1800000001000,1 2 3,OOM",
            Verdict::Acknowledged,
        ),
        ("lost,foreign", Verdict::Lost),
        ("lost,forgotten", Verdict::Lost),
        ("lost,cloned", Verdict::Lost),
        ("lost,layout,41/8/14", Verdict::Lost),
        ("lost,superseded,10", Verdict::Lost),
        ("wrongtype,ns:slots,list", Verdict::Failed),
        ("late", Verdict::Failed),
        ("newer,2", Verdict::Failed),
        ("nonsense", Verdict::Failed),
    ] {
        let (tenure, _events, _diary) = attached(slot(4));
        let mut renewal = Renewal::new(Arc::clone(&tenure), &slot(4));
        assert_eq!(renewal.commands().len(), 2);
        assert_eq!(renewal.handle_replies(&[reply(words)]), verdict, "{words}");
        let lost = matches!(&*tenure.status().borrow(), Status::Lost(_));
        assert_eq!(lost, verdict == Verdict::Lost, "{words}");
        if words.starts_with("re") {
            let longest = tenure.identity.longest.get();
            assert_eq!(longest.to_string(), "1 2 3", "it goes along from now on");
        }
        if verdict == Verdict::Acknowledged {
            // A lease lasts a ttl from the server's clock at the acknowledged renewal.
            assert_eq!(till(&mut renewal), WALL_MS + 1_000 + 6_000, "{words}");
        } else {
            assert_eq!(till(&mut renewal), WALL_MS + 6_000, "{words}");
        }
    }
    let (tenure, mut events, _diary) = attached(slot(4));
    let mut renewal = Renewal::new(tenure, &slot(4));
    assert_eq!(
        renewal.handle_replies(&[Err(refused()), Err(refused())]),
        Verdict::Failed
    );
    assert!(matches!(
        next(&mut events).await,
        Event::AnnouncementRefused { .. }
    ));
    assert!(matches!(
        next(&mut events).await,
        Event::RenewalFailed { .. }
    ));
    assert_eq!(renewal.handle_replies(&[]), Verdict::Failed);
    next(&mut events).await;
    renewal.handle_at_risk(Instant::from_boot(Duration::ZERO));
    assert!(matches!(next(&mut events).await, Event::AtRisk { .. }));
    renewal.handle_expired();
    assert!(matches!(next(&mut events).await, Event::Lost(_)));
}

/// The server's time at which the last acknowledged lease ends, as the next renewal says it.
fn till(renewal: &mut Renewal) -> u64 {
    let Command::Eval { args, .. } = renewal.commands().remove(0) else {
        panic!("a script");
    };
    args[7].parse().expect("a number")
}
