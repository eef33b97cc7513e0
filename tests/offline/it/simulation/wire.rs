//! The wire between one instance and the store: it notes what the instance waits for, and can hold an answer up until the
//! world has done its worst.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use coord_core::{
    clock::{Clock, Instant, TokioClock},
    history::Terms,
    store::{BoxFuture, Command, Confirmed, Reply, StoreError},
};
use tokio::sync::{Notify, Semaphore};

use super::{
    coverage::{Window, Windows},
    mutants::Mutant,
    plan::Number,
    record::{Record, Who},
};
use coord_offline::tap::{Ear, Replies};

/// One instance's end; clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    number: Number,
    mutant: Mutant,
    clock: TokioClock,
    bell: Bell,
    record: Record,
    state: Arc<Mutex<State>>,
    /// A permit for each answer that may go.
    may_go: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    acknowledged: Option<Instant>,
    /// When the last request was sent that acknowledged a lease.
    heard: Option<Instant>,
    /// The longest ttl that the store has told of.
    known_ttl: Duration,
    /// The last renewal that was sent, and the server's time when the lease was last acknowledged.
    renewal: Option<Command>,
    server_ms: u64,
    /// The last answer that nothing is granted, and for how long.
    quarantine: Option<(Instant, Duration)>,
    /// Since when a grant or a renewal waits for replicas.
    confirming: Option<Instant>,
    /// What is being asked for, and since when.
    asking: Option<(Windows, Instant)>,
    /// What follows from the last answers.
    standing: Windows,
    was_granted: bool,
    /// In which windows each answer is that is held up.
    held_up: Vec<Windows>,
}

impl Wire {
    pub(super) fn new(
        number: Number,
        mutant: Mutant,
        clock: TokioClock,
        bell: Bell,
        record: Record,
    ) -> Self {
        Self {
            number,
            mutant,
            clock,
            bell,
            record,
            state: Arc::default(),
            may_go: Arc::new(Semaphore::new(0)),
        }
    }

    /// When a lease was last *answered*; a deadline from the reply counts from here.
    pub(super) fn acknowledged(&self) -> Option<Instant> {
        self.state().acknowledged
    }

    /// Since when the store has not surely been asked anew.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.state().heard
    }

    /// The longest ttl that the instance knows of.
    pub(super) fn known_ttl(&self) -> Duration {
        self.state().known_ttl
    }

    /// The last renewal, and the server's time when the lease was last acknowledged: what a copy of the instance has.
    pub(super) fn renewal(&self) -> Option<(Command, u64)> {
        let state = self.state();
        Some((state.renewal.clone()?, state.server_ms))
    }

    /// When the last request was sent that was refused because of a quarantine, and for how long; once.
    pub(super) fn take_quarantine(&self) -> Option<(Instant, Duration)> {
        self.state().quarantine.take()
    }

    pub(super) fn windows(&self, now: Instant) -> Windows {
        let state = self.state();
        let asking = state.asking.filter(|&(_, since)| now < since + LONGEST);
        let asking = asking.map_or(Windows::NONE, |(windows, _)| windows);
        let held_up = state.held_up.iter().copied();
        let confirming = state.confirming.is_some();
        let standing = state.standing.with(Window::Acknowledging, confirming);
        held_up.fold(standing.and(asking), Windows::and)
    }

    /// Lets one answer go that is held up; whether there was any.
    pub(super) fn go_on(&self) -> bool {
        let is_held_up = self.state().held_up.pop().is_some();
        self.may_go.add_permits(usize::from(is_held_up));
        is_held_up
    }

    /// Holds the instance up where somebody waits for one of these windows.
    fn hold_up(&self, windows: Windows) -> Option<BoxFuture<'_, ()>> {
        if !self.bell.is_awaited(windows) {
            return None;
        }
        self.state().held_up.push(windows);
        self.bell.ring(self.number, windows);
        Some(Box::pin(async {
            let permit = self.may_go.acquire().await;
            permit.expect("it is never closed").forget();
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }
}

impl Ear for Wire {
    fn replace(&self, command: &Command) -> Option<Command> {
        self.mutant.replace(command)
    }

    fn sending(&self, commands: &[Command]) {
        let asked = commands.first().map_or(Windows::NONE, asked);
        let mut state = self.state();
        state.asking = Some((asked, self.clock.now()));
        if let Some(command) = commands.first().filter(|command| command.name() == "renew") {
            state.renewal = Some(command.clone());
        }
    }

    fn answered<'a>(
        &'a self,
        commands: &'a [Command],
        replies: &'a mut Replies,
    ) -> Option<BoxFuture<'a, ()>> {
        let (command, Some(Ok(reply))) = (commands.first()?, replies.first()) else {
            self.state().asking = None;
            return None;
        };
        let answer = Answer::of(reply);
        let mut state = self.state();
        let asked_at = state.asking.take().map(|(_, at)| at);
        if answer.is_acknowledgement {
            state.acknowledged = Some(self.clock.now());
            state.heard = asked_at.or(state.heard);
        }
        state.learn(&answer, asked_at);
        if !matches!(command.name(), "release" | "leave") {
            state.was_granted |= answer.granted.is_some();
            let is_new = !state.was_granted;
            state.standing = Windows::NONE
                .with(
                    Window::Discovery,
                    answer.is_absent || (answer.is_doubt && is_new),
                )
                .with(Window::Doubt, answer.is_doubt);
        }
        drop(state);
        if let Some(granted) = &answer.granted {
            self.record.count_grant(self.number, granted.clone());
            self.bell.ring_soon();
        }
        if !answer.is_routine {
            self.record
                .say(Who::Instance(self.number), || said(command.name(), reply));
        }
        self.hold_up(asked(command).with(Window::Granting, answer.granted.is_some()))
    }

    fn confirming(&self) -> Option<BoxFuture<'_, ()>> {
        self.state().confirming = Some(self.clock.now());
        self.hold_up(Windows::of(Window::Acknowledging))
    }

    fn confirmed(&self, outcome: &Result<Confirmed, StoreError>) {
        let mut state = self.state();
        let sent = state.confirming.take();
        let Ok((replies, count)) = outcome else {
            return;
        };
        let now = self.clock.now();
        for answer in replies.iter().flatten().map(Answer::of) {
            state.learn(&answer, sent);
            if answer.is_acknowledgement && 0 < *count {
                state.acknowledged = Some(now);
                state.heard = sent.or(state.heard);
            }
            if let Some(granted) = answer.granted {
                self.record.count_grant(self.number, granted);
            }
        }
        drop(state);
        self.bell.ring_soon();
    }
}

impl State {
    fn learn(&mut self, answer: &Answer, asked_at: Option<Instant>) {
        self.known_ttl = answer.ttl.unwrap_or(self.known_ttl);
        self.server_ms = answer.server_ms.unwrap_or(self.server_ms);
        // Counted from the question: whoever is stopped reads the answer late.
        self.quarantine = asked_at.zip(answer.quarantine).or(self.quarantine);
    }
}

/// A request is given up after half a second.
const LONGEST: Duration = Duration::from_millis(600);

/// The windows in which a request is.
fn asked(command: &Command) -> Windows {
    let Command::Eval { script, args, .. } = command else {
        return Windows::NONE;
    };
    match script.name() {
        "acquire" | "join" | "claim" => Windows::of(Window::Granting),
        "renew" => Windows::of(Window::Renewing),
        "beat" => {
            let releases = args.get(11).is_some_and(|releases| !releases.is_empty());
            Windows::of(Window::Renewing).with(Window::HandOver, releases)
        }
        "release" | "leave" => Windows::of(Window::HandOver),
        _ => Windows::NONE,
    }
}

/// What matters of an answer.
struct Answer {
    is_acknowledgement: bool,
    /// What is granted, in the store's words.
    granted: Option<String>,
    /// The longest ttl of the namespace or group.
    ttl: Option<Duration>,
    server_ms: Option<u64>,
    quarantine: Option<Duration>,
    is_absent: bool,
    is_doubt: bool,
    /// Not worth telling.
    is_routine: bool,
}

impl Answer {
    fn of(reply: &Reply) -> Self {
        let items = reply.as_array().unwrap_or_default();
        let text = |index: usize| items.get(index).and_then(Reply::as_str);
        let kind = text(0).unwrap_or_default();
        let number = |index| items.get(index).and_then(Reply::as_u64);
        let is_ok = kind == "ok";
        let granted = match kind {
            "granted" => number(1)
                .zip(number(2))
                .map(|(slot, fence)| format!("{slot} {fence}")),
            "ok" => text(9).filter(|runs| !runs.is_empty()).map(str::to_owned),
            _ => None,
        };
        let terms = match kind {
            "granted" => Some(6),
            "renewed" | "reasserted" => Some(3),
            "joined" | "claimed" => Some(4),
            "ok" => Some(16),
            _ => None,
        };
        Self {
            is_acknowledgement: matches!(
                kind,
                "granted" | "renewed" | "reasserted" | "ok" | "same"
            ),
            granted,
            ttl: terms
                .and_then(text)
                .and_then(Terms::parse)
                .map(|terms| Duration::from_millis(terms.ttl_ms)),
            server_ms: match kind {
                "granted" => number(5),
                "renewed" | "reasserted" => number(2),
                _ => None,
            },
            quarantine: (kind == "quarantine")
                .then(|| Duration::from_millis(number(1).unwrap_or(0))),
            is_absent: matches!(kind, "absent" | "quiet"),
            is_doubt: kind == "quarantine" || (is_ok && number(12) != Some(0)),
            is_routine: matches!(kind, "renewed" | "same" | "ok" | "taken" | ""),
        }
    }
}

/// An answer as the timeline has it.
fn said(operation: &str, reply: &Reply) -> String {
    let items = reply.as_array().unwrap_or_default().iter();
    let texts = items.map(|item| match item {
        Reply::Int(number) => number.to_string(),
        other => other.as_str().unwrap_or("?").to_owned(),
    });
    format!("{operation}: {}", texts.collect::<Vec<_>>().join(" "))
}

/// How wires call the world; clones are the same bell.
#[derive(Debug, Clone, Default)]
pub(super) struct Bell {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    awaited: Mutex<Windows>,
    rung: Mutex<Vec<(Number, Windows)>>,
    soon: AtomicBool,
    notify: Notify,
}

impl Bell {
    /// Which windows somebody waits for.
    pub(super) fn wait_for(&self, windows: Windows) {
        *self.shared.awaited.lock().expect("not poisoned") = windows;
    }

    fn is_awaited(&self, windows: Windows) -> bool {
        let awaited = *self.shared.awaited.lock().expect("not poisoned");
        awaited.meets(windows)
    }

    fn ring(&self, number: Number, windows: Windows) {
        let mut rung = self.shared.rung.lock().expect("not poisoned");
        rung.push((number, windows));
        self.shared.notify.notify_one();
    }

    /// Somebody was granted something: that is worth a look.
    fn ring_soon(&self) {
        self.shared.soon.store(true, Ordering::Relaxed);
        self.shared.notify.notify_one();
    }

    pub(super) async fn rung(&self) {
        self.shared.notify.notified().await;
    }

    /// Who is held up, since the last call.
    pub(super) fn take(&self) -> Vec<(Number, Windows)> {
        std::mem::take(&mut *self.shared.rung.lock().expect("not poisoned"))
    }

    pub(super) fn take_soon(&self) -> bool {
        self.shared.soon.swap(false, Ordering::Relaxed)
    }
}
