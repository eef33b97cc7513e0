//! A process that was copied with its memory: the copy goes on renewing the same lease.
//!
//! The memory of a process cannot be copied here, but what a renewal says of it can: the copy sends what its original would
//! send next, with another random number.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use coord_core::{
    clock::{Clock, Instant, TokioClock},
    lease::Timing,
    store::{Command, Reply, Store},
};
use coord_offline::gate::Gate;

use super::ledger::Holder;
use crate::simulation::{plan::Number, stage::Stage};

pub(super) struct Copy {
    pub(super) original: Number,
    pub(super) fence: u64,
    pub(super) since: Instant,
    number: Number,
    slot: u32,
    gate: Gate,
    clock: TokioClock,
    deadline: Arc<Mutex<Instant>>,
}

/// What a copy knows.
struct Memory {
    renewal: Command,
    /// The number of the last request, and what is named after it.
    last: u64,
    named: String,
    acknowledged_till: u64,
}

impl Copy {
    /// Copies the process that holds this; `None` if it has not renewed yet.
    pub(super) fn start(stage: &mut Stage, number: Number, holder: &Holder) -> Option<Self> {
        let original = &stage.shells[&holder.number];
        let options = original.options;
        let (renewal, server_ms) = original.wire.renewal()?;
        let heard = original.wire.heard()?;
        let memory = Memory::of(renewal, holder, server_ms, options.ttl)?;
        let store: Arc<dyn Store> = stage.open_shell(number, 0);
        let shell = stage.shells.get_mut(&number).expect("just opened");
        shell.options = options;
        let copy = Self {
            original: holder.number,
            fence: holder.fence,
            since: stage.clock.now(),
            number,
            slot: holder.slot,
            gate: shell.gate.clone(),
            clock: shell.clock.clone(),
            deadline: Arc::new(Mutex::new(NEVER)),
        };
        let rng = shell.rng.fork();
        let task = renew(
            memory,
            store,
            copy.clock.clone(),
            rng,
            Timing::new(options.ttl, options.heartbeat).expect("valid"),
            heard,
            Arc::clone(&copy.deadline),
        );
        copy.gate.run(task);
        Some(copy)
    }

    /// What it believes that it holds, and may: before its first renewal nobody can know of it, nor of what its original
    /// does, where both renewals were forgotten.
    pub(super) fn holder(&self, stage: &Stage) -> Option<Holder> {
        let shell = stage.shells.get(&self.number)?;
        let is_known = |number: &Number| {
            let heard = stage
                .shells
                .get(number)
                .and_then(|shell| shell.wire.heard());
            stage.lost_at.is_none_or(|lost_at| Some(lost_at) < heard)
        };
        if !(is_known(&self.number) && is_known(&self.original)) {
            return None;
        }
        let deadline = *self.deadline.lock().expect("not poisoned");
        (self.clock.now() < deadline).then_some(Holder {
            slot: self.slot,
            fence: self.fence,
            number: self.number,
            is_leapt_over: stage.may_be_forgotten(shell, self.number),
            is_copy: true,
        })
    }

    pub(super) fn kill(&self) {
        self.gate.kill();
        *self.deadline.lock().expect("not poisoned") = NEVER;
    }
}

impl Memory {
    fn of(renewal: Command, holder: &Holder, server_ms: u64, ttl: Duration) -> Option<Self> {
        let Command::Eval { args, .. } = &renewal else {
            return None;
        };
        let text = |index: usize| std::str::from_utf8(args.get(index)?.as_ref()).ok();
        let is_of_this_grant = text(2)? == holder.fence.to_string();
        let named = text(8)?.to_owned();
        let last = named.split(',').next()?.parse().ok()?;
        let ttl_ms = u64::try_from(ttl.as_millis()).ok()?;
        is_of_this_grant.then_some(Self {
            renewal,
            last,
            named,
            acknowledged_till: server_ms + ttl_ms,
        })
    }

    /// The next renewal.
    fn next(&mut self, clock: &TokioClock, rng: &mut fastrand::Rng) -> Command {
        let number = (self.last / SPREAD + 1) * SPREAD + rng.u64(0..SPREAD);
        self.last = number;
        self.named = format!("{number},{}", self.named);
        let Command::Eval { script, keys, args } = &self.renewal else {
            unreachable!("it was looked at");
        };
        let mut args = args.clone();
        args[4] = clock.wall_ms().to_string();
        args[7] = self.acknowledged_till.to_string();
        args[8] = self.named.clone();
        Command::Eval {
            script,
            keys: keys.clone(),
            args,
        }
    }

    /// Whether it goes on after this answer.
    fn handle(&mut self, reply: &Reply, ttl: Duration) -> Option<bool> {
        let items = reply.as_array()?;
        match items.first()?.as_str()? {
            "renewed" | "reasserted" => {
                let ttl_ms = u64::try_from(ttl.as_millis()).ok()?;
                self.acknowledged_till = items.get(2)?.as_u64()? + ttl_ms;
                self.named = self.last.to_string();
                Some(true)
            }
            _ => Some(false),
        }
    }
}

async fn renew(
    mut memory: Memory,
    store: Arc<dyn Store>,
    clock: TokioClock,
    mut rng: fastrand::Rng,
    timing: Timing,
    heard: Instant,
    deadline: Arc<Mutex<Instant>>,
) {
    let mut believed = timing.deadline(heard);
    loop {
        tokio::time::sleep(timing.heartbeat().mul_f64(0.2 + 0.8 * rng.f64())).await;
        let (sent, request) = (clock.now(), memory.next(&clock, &mut rng));
        let mut replies = store.pipeline(&[request], ANSWER).await;
        let Some(Ok(reply)) = replies.pop() else {
            continue;
        };
        let goes_on = memory.handle(&reply, timing.ttl()) == Some(true);
        let mut deadline = deadline.lock().expect("not poisoned");
        if !goes_on || believed <= clock.now() {
            *deadline = NEVER;
            return;
        }
        believed = believed.max(timing.deadline(sent));
        *deadline = believed;
    }
}

/// See `slots.lua`.
const SPREAD: u64 = 1 << 20;
const NEVER: Instant = Instant::from_boot(Duration::ZERO);
const ANSWER: Duration = Duration::from_millis(500);
