//! Each demand is met by a clean run, and by no run that breaks it.

use std::collections::BTreeMap;

use super::*;
use crate::{
    raw::{Members, Setting},
    recording::Member,
};

/// Two processes under one machine ID, one after the other.
fn clean() -> Recording {
    let run = |from: u64| IdRun {
        first: from,
        last: from + 3,
        count: 4,
    };
    let member = |from, bucket| Member {
        lines: vec![
            Line::Did {
                at_ms: 1,
                took_us: BTreeMap::new(),
                owned: 1,
                ids: 8,
                granted: vec![(bucket, 7)],
            },
            Line::Retried {
                at_ms: 2,
                text: String::new(),
            },
            Line::Left { at_ms: 3 },
        ],
        ids: vec![run(from), run(from + 4)],
    };
    let sample = |second: u64| Sample {
        at_ms: second * 1_000,
        server: BTreeMap::from([("used_memory".to_owned(), 2e6)]),
        members: Members {
            count: 2,
            ..Members::default()
        },
        load: 0.0,
    };
    Recording {
        setting: Setting {
            started_ms: 0,
            started_wall_ms: 0,
            minutes: 10.0,
            processes: 2,
            seed: 1,
            every: 1.0,
            buckets: 2,
            ids_per_second: 4,
            ttl_ms: 10_000,
            server: String::new(),
            processors: 2,
        },
        samples: (0..600).step_by(5).map(sample).collect(),
        changes: Vec::new(),
        members: vec![member(0, 1), member(8, 2)],
        end: Some(End {
            at_ms: 600_000,
            keys: ["n:slots", "p:{n}:group", "p:{n}:retired", "p:{n}:table:0"]
                .map(str::to_owned)
                .to_vec(),
            leased: 0,
            members: 0,
            owned: 0,
            misbehaved: Vec::new(),
            unseen: Vec::new(),
        }),
    }
}

fn failed(recording: &Recording) -> Vec<&'static str> {
    let verdicts = judge(recording).expect("a recording that can be judged");
    let failed = verdicts.into_iter().filter(|verdict| !verdict.passed);
    failed.map(|verdict| verdict.demand).collect()
}

/// Judges a clean run after `change`.
#[track_caller]
fn check(expected: &str, change: impl FnOnce(&mut Recording)) {
    let mut recording = clean();
    change(&mut recording);
    let failed = failed(&recording);
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(failed[0].contains(expected), "{failed:?}");
}

fn end(recording: &mut Recording) -> &mut End {
    recording.end.as_mut().expect("a clean run has ended")
}

#[test]
fn a_clean_run_passes() {
    assert_eq!(failed(&clean()), Vec::<&str>::new());
}

#[test]
fn ids_that_meet_fail() {
    check("no ID twice", |recording| {
        recording.members[1].ids[0].first = 7;
    });
    check("no ID twice", |recording| {
        let again = recording.members[0].ids[0];
        recording.members[1].ids.push(again);
    });
    check("no ID twice", |recording| {
        recording
            .members
            .iter_mut()
            .for_each(|member| member.ids.clear());
    });
}

#[test]
fn one_machine_id_is_not_taken_for_another() {
    let layout = Layout::default();
    let other = (0..u64::MAX).step_by(1_024);
    let mut other = other.filter(|bits| Id::from_u64(*bits).machine_id(&layout) == 1);
    let first = other.next().expect("some ID has machine ID 1");
    let mut recording = clean();
    recording.members[0].ids.push(IdRun {
        first,
        last: first + 1,
        count: 2,
    });
    assert_eq!(failed(&recording), Vec::<&str>::new());
    check("no ID twice", |recording| {
        recording.members[1].ids[1].last = first;
    });
}

#[test]
fn a_grant_given_twice_fails() {
    check("granted twice", |recording| {
        let line = recording.members[0].lines[0].clone();
        recording.members[1].lines.push(line);
    });
}

#[test]
fn a_loss_and_a_failure_fail() {
    let text = || "text".to_owned();
    check("no lease lost", |recording| {
        let lost = Line::Lost {
            at_ms: 4,
            text: text(),
        };
        recording.members[0].lines.push(lost);
    });
    check("no operation failed", |recording| {
        let failed = Line::Failed {
            at_ms: 4,
            text: text(),
        };
        recording.members[0].lines.push(failed);
    });
    check("no operation failed", |recording| {
        end(recording).misbehaved.push(text());
    });
}

#[test]
fn what_is_left_over_fails() {
    check("nothing left", |recording| end(recording).leased = 1);
    check("nothing left", |recording| end(recording).members = 1);
    check("nothing left", |recording| end(recording).owned = 1);
    for key in ["n:id:5", "p:{n}:inbox:3", "p:{n}:members"] {
        check("nothing left", |recording| {
            end(recording).keys.push(key.to_owned());
        });
    }
}

#[test]
fn memory_that_grows_fails() {
    check("memory", |recording| {
        for sample in &mut recording.samples {
            let growth = 1_000.0 * f64::from(u32::try_from(sample.at_ms / 1_000).unwrap_or(0));
            sample.server.insert("used_memory".to_owned(), 2e6 + growth);
        }
    });
    check("memory", |recording| recording.samples.truncate(30));
}

#[test]
fn a_run_that_was_cut_off_fails() {
    let mut recording = clean();
    recording.end = None;
    assert_eq!(failed(&recording).len(), 2);
    check("complete", |recording| {
        end(recording).unseen = vec!["a sample".to_owned(); 20];
    });
}
