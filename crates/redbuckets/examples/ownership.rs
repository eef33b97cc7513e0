//! Shows a group at work: instances join, one crashes, one leaves; a map says who owns which bucket, and the buckets
//! that moved are counted against the least that had to.
//!
//! ```console
//! $ cargo run -p redbuckets --example ownership
//! $ cargo run -p redbuckets --example ownership -- --redis redis://localhost:6379
//! ```

#[path = "../../raus/examples/common/failure.rs"]
mod failure;

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use redbuckets::{Clock, ConfigError, Instance, Placement, Redbuckets, StoreError, SystemClock};
use tokio::runtime::{Builder, Runtime};

type Error = Box<dyn std::error::Error>;

/// Shows a group at work.
#[derive(Parser)]
struct Options {
    /// Where the group lives: redis://…, redis+unix://… or memory://….
    #[arg(long, default_value = "memory://demo")]
    redis: String,
    /// How many buckets.
    #[arg(long, default_value_t = 96)]
    buckets: u32,
}

fn main() -> ExitCode {
    match Demo::new(Options::parse()).and_then(Demo::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::tell("ownership", &*error),
    }
}

/// One instance on a runtime of its own, which is the process that crashes.
struct Member {
    name: char,
    runtime: Runtime,
    instance: Instance,
}

struct Demo {
    options: Options,
    group: String,
    members: Vec<Member>,
    next_name: char,
    live: bool,
    drawn: bool,
}

type Owners = BTreeMap<u32, char>;

impl Demo {
    const TTL: Duration = Duration::from_millis(900);
    const PERIOD: Duration = Duration::from_millis(150);
    const SETTLE: Duration = Duration::from_millis(300);

    fn new(options: Options) -> Result<Self, Error> {
        // A group of its own, so that the demo can be run twice on one server.
        let group = format!("demo-{}", SystemClock.wall_ms());
        let buckets = Redbuckets::builder(&options.redis, &group).buckets(options.buckets);
        // A server that is not there is told of before anything is shown.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(buckets.build()?.describe())?;
        Ok(Self {
            group,
            options,
            members: Vec::new(),
            next_name: 'A',
            live: std::io::stdout().is_terminal(),
            drawn: false,
        })
    }

    fn run(mut self) -> Result<(), Error> {
        println!(
            "{} buckets; a letter is an instance, a dot has no owner",
            self.options.buckets
        );
        let mut moves = (0, 0);
        self.scene("A, B and C start together", &mut moves, |demo| {
            for _ in 0..3 {
                demo.join()?;
            }
            Ok(())
        })?;
        self.scene("D joins", &mut moves, Self::join)?;
        self.scene("B crashes", &mut moves, |demo| {
            let crashed = demo.members.remove(1);
            // Nothing of it runs any more, and nothing is said to anybody.
            crashed.runtime.shutdown_background();
            std::mem::forget(crashed.instance);
            Ok(())
        })?;
        self.scene("A leaves", &mut moves, |demo| {
            let leaver = demo.members.remove(0);
            leaver.runtime.block_on(leaver.instance.leave())?;
            Ok(())
        })?;
        for member in std::mem::take(&mut self.members) {
            member.runtime.block_on(member.instance.leave())?;
        }
        let (moved, least) = moves;
        println!("{moved} buckets moved, {least} had to");
        if moved == least {
            return Ok(());
        }
        Err("more buckets moved than had to".into())
    }

    fn scene(
        &mut self,
        title: &str,
        moves: &mut (usize, usize),
        change: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        println!("\n{title}");
        self.drawn = false;
        let before = self.owners();
        let began = SystemClock.now();
        change(self)?;
        let give_up_at = began + Duration::from_secs(15);
        while !self.is_balanced() {
            if give_up_at < SystemClock.now() {
                return Err("the group does not settle".into());
            }
            if self.live {
                self.draw()?;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let took = SystemClock.now().saturating_since(began);
        self.draw()?;
        let after = self.owners();
        let moved = before
            .iter()
            .filter(|(bucket, owner)| after.get(bucket) != Some(owner));
        let (moved, least) = (moved.count(), self.least(&before));
        println!(
            "balanced after {} ms, {moved} buckets moved, {least} had to",
            took.as_millis()
        );
        *moves = (moves.0 + moved, moves.1 + least);
        Ok(())
    }

    fn join(&mut self) -> Result<(), Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let buckets = Redbuckets::builder(&self.options.redis, &self.group)
            .buckets(self.options.buckets)
            .ttl(Self::TTL)
            .period(Self::PERIOD)
            .settle(Self::SETTLE)
            .placement(Placement::Runtime(runtime.handle().clone()))
            .build()?;
        let instance = runtime.block_on(buckets.join())?;
        self.members.push(Member {
            name: self.next_name,
            runtime,
            instance,
        });
        self.next_name = char::from_u32(u32::from(self.next_name) + 1).ok_or("too many members")?;
        Ok(())
    }

    fn owners(&self) -> Owners {
        let mut owners = Owners::new();
        for member in &self.members {
            owners.extend(
                member
                    .instance
                    .owned()
                    .ids()
                    .map(|bucket| (bucket, member.name)),
            );
        }
        owners
    }

    fn is_balanced(&self) -> bool {
        let counts = self
            .members
            .iter()
            .map(|member| member.instance.owned().len());
        let (most, fewest) = (counts.clone().max(), counts.clone().min());
        let spread = most.unwrap_or(0) - fewest.unwrap_or(0);
        spread <= 1 && counts.sum::<usize>() == self.options.buckets as usize
    }

    fn least(&self, before: &Owners) -> usize {
        let (buckets, members) = (self.options.buckets as usize, self.members.len());
        let (floor, extras) = (buckets / members, buckets % members);
        let own = |member: &Member| {
            before
                .values()
                .filter(|owner| **owner == member.name)
                .count()
        };
        let kept: usize = self
            .members
            .iter()
            .map(|member| own(member).min(floor))
            .sum();
        let can_keep_more = self
            .members
            .iter()
            .filter(|member| floor < own(member))
            .count();
        before
            .len()
            .saturating_sub(kept + extras.min(can_keep_more))
    }

    /// The map of the buckets, in place of the last one of this scene where there is a terminal.
    fn draw(&mut self) -> std::io::Result<()> {
        const WIDTH: u32 = 48;
        let owners = self.owners();
        let mut out = std::io::stdout().lock();
        let rows = self.options.buckets.div_ceil(WIDTH);
        if self.live && self.drawn {
            write!(out, "\x1b[{rows}A")?;
        }
        for row in 0..rows {
            let end = self.options.buckets.min((row + 1) * WIDTH);
            for bucket in row * WIDTH..end {
                match owners.get(&bucket) {
                    None => write!(out, "·")?,
                    Some(name) if self.live => {
                        // Letters from 'A' on take the colours from red on.
                        let colour = 41 + (u32::from(*name) - u32::from('A')) % 6;
                        write!(out, "\x1b[{colour};30m{name}\x1b[0m")?;
                    }
                    Some(name) => write!(out, "{name}")?,
                }
            }
            writeln!(out)?;
        }
        self.drawn = true;
        out.flush()
    }
}
