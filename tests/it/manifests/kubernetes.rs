//! The Kubernetes manifests, as far as that can be told without Kubernetes: their commands are run.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use coord_tests::{
    program::{Program, Running},
    server::RedisServer,
    wait,
};
use redbuckets::Redbuckets;
use saphyr::Yaml;

use super::{at, documents, find, list, number, string, text};

const FILES: [&str; 2] = ["kubernetes/id.yaml", "kubernetes/buckets.yaml"];
const COORDCTL: &str = "/usr/local/bin/coordctl";
const STATUS: &str = "/run/coordctl/lease";
const LIMIT: Duration = Duration::from_secs(60);
const PROBES: [&str; 3] = ["startupProbe", "readinessProbe", "livenessProbe"];

#[track_caller]
fn of_kind<'a>(documents: &'a [Yaml<'a>], kind: &str) -> &'a Yaml<'a> {
    let found = documents.iter().find(|it| string(it, "kind") == kind);
    found.unwrap_or_else(|| panic!("there is no {kind}"))
}

/// Its one container: no sidecar, and no init container.
#[track_caller]
fn container<'a>(deployment: &'a Yaml<'a>) -> &'a Yaml<'a> {
    let pod = at(deployment, "spec.template.spec");
    assert!(find(pod, "initContainers").is_none());
    assert_eq!(at(pod, "containers").as_sequence().map(Vec::len), Some(1));
    at(pod, "containers.0")
}

fn pairs(node: &Yaml<'_>) -> BTreeMap<String, String> {
    let pairs = node.as_mapping().expect("a map").iter();
    let text = |node: &Yaml<'_>| node.as_str().expect("text").to_owned();
    pairs.map(|(key, value)| (text(key), text(value))).collect()
}

/// The value of an option, in seconds.
#[track_caller]
fn seconds(arguments: &[&str], option: &str) -> u64 {
    let place = arguments.iter().position(|word| *word == option);
    let value = arguments[place.unwrap_or_else(|| panic!("there is no {option}")) + 1];
    value.trim_end_matches('s').parse().expect("seconds")
}

#[test]
fn selectors_select_their_pods_and_budgets_let_one_go() {
    for path in FILES {
        let text = text(path);
        let documents = documents(path, &text);
        let deployment = of_kind(&documents, "Deployment");
        let labels = pairs(at(deployment, "spec.template.metadata.labels"));
        assert_eq!(
            pairs(at(deployment, "spec.selector.matchLabels")),
            labels,
            "{path}"
        );
        let budget = of_kind(&documents, "PodDisruptionBudget");
        assert_eq!(
            pairs(at(budget, "spec.selector.matchLabels")),
            labels,
            "{path}"
        );
        let replicas = number(deployment, "spec.replicas");
        let may_go = match find(budget, "spec.minAvailable") {
            Some(_) => replicas - number(budget, "spec.minAvailable"),
            None => number(budget, "spec.maxUnavailable"),
        };
        // None would block the draining of a node for ever.
        assert_eq!(may_go, 1, "{path}");
    }
}

#[test]
fn nothing_has_more_rights_than_it_needs() {
    for path in FILES {
        let text = text(path);
        let documents = documents(path, &text);
        let deployment = of_kind(&documents, "Deployment");
        let pod = at(deployment, "spec.template.spec");
        let container = container(deployment);
        let is = |node, place, wanted| {
            assert_eq!(at(node, place).as_bool(), Some(wanted), "{path}: {place}")
        };
        is(pod, "securityContext.runAsNonRoot", true);
        is(pod, "automountServiceAccountToken", false);
        is(container, "securityContext.readOnlyRootFilesystem", true);
        is(container, "securityContext.allowPrivilegeEscalation", false);
        assert_eq!(
            list(container, "securityContext.capabilities.drop"),
            ["ALL"]
        );
        assert_eq!(number(pod, "securityContext.runAsUser"), 65_532);
        at(container, "resources.limits.memory");
        // A password comes from the secret, and from nowhere else.
        let secret = "env.0.valueFrom.secretKeyRef";
        let secret = ["name", "key"].map(|part| string(container, &format!("{secret}.{part}")));
        let file = super::text("kubernetes/secret.yaml");
        let given = &super::documents("kubernetes/secret.yaml", &file)[0];
        assert_eq!(secret[0], string(given, "metadata.name"));
        at(given, &format!("stringData.{}", secret[1]));
    }
}

#[test]
fn times_fit_the_leases() {
    for path in FILES {
        let text = text(path);
        let documents = documents(path, &text);
        let deployment = of_kind(&documents, "Deployment");
        let container = container(deployment);
        let ttl = seconds(&list(container, "args"), "--ttl");
        let patience = number(container, "startupProbe.periodSeconds")
            * number(container, "startupProbe.failureThreshold");
        // One ttl of doubt, the discovery, and as much for the image to be started.
        assert!(ttl + 20 <= patience, "{path}: {patience} s");
        let hook = find(container, "lifecycle.preStop.exec.command");
        let hook = hook.map(|_| list(container, "lifecycle.preStop.exec.command"));
        let drain = hook.map_or(0, |words| seconds(&words, "--wait"));
        // The program's own end or one ttl of redbuckets, then the release.
        let needed = drain + 10 + 5;
        let given = number(
            deployment,
            "spec.template.spec.terminationGracePeriodSeconds",
        );
        assert!(
            needed <= given && given < ttl,
            "{path}: {given} s of {needed}"
        );
    }
}

#[test]
fn variables_are_set_where_they_are_named_and_hooks_name_none() {
    for path in FILES {
        let text = text(path);
        let documents = documents(path, &text);
        let container = container(of_kind(&documents, "Deployment"));
        let set = at(container, "env").as_sequence().expect("a list").iter();
        let set: BTreeSet<&str> = set.map(|variable| string(variable, "name")).collect();
        for word in list(container, "args") {
            if let Some(name) = word
                .strip_prefix("$(")
                .and_then(|rest| rest.strip_suffix(')'))
            {
                assert!(set.contains(name), "{path}: {name}");
            }
        }
        for probe in PROBES {
            let command = list(container, &format!("{probe}.exec.command"));
            assert_eq!(command, [COORDCTL, "id", "status", STATUS], "{path}");
        }
        if find(container, "lifecycle").is_some() {
            // Kubernetes fills in nothing there.
            let hook = list(container, "lifecycle.preStop.exec.command");
            assert!(
                hook.iter().all(|word| !word.contains('$')),
                "{path}: {hook:?}"
            );
            assert!(set.contains("INSTANCE_ID"), "{path}");
        }
        let mounts = at(container, "volumeMounts").as_sequence().expect("a list");
        let is_mounted = |mount| STATUS.starts_with(&format!("{}/", string(mount, "mountPath")));
        assert!(mounts.iter().any(is_mounted), "{path}");
    }
}

/// A container's command as Kubernetes would run it, on this machine: with another status file, and `program` instead of its
/// own.
fn start(words: &[&str], status: &str, server: &RedisServer, program: &[&str]) -> Running {
    let own = words.iter().take_while(|word| **word != "--");
    let own = own.map(|word| match *word {
        STATUS => status,
        "$(POD_NAME)" | "$(INSTANCE_ID)" => "pod-1",
        other => other,
    });
    let tool = Program::coordctl().expect("it builds");
    let tool = tool
        .env("REDIS_URL", server.url())
        .env("INSTANCE_ID", "pod-1");
    let tool = tool.args(own.chain(program.iter().copied()));
    tool.spawn().expect("it starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_probes_and_hooks_do_what_they_are_there_for() {
    let server = RedisServer::start().expect("it starts");
    // For the hook: one that is to be drained, and one that takes over.
    let member = |id: &str| {
        Redbuckets::builder(&server.url(), "orders")
            .buckets(16)
            .instance_id(id)
    };
    let going = member("pod-1")
        .build()
        .expect("valid")
        .join()
        .await
        .expect("joined");
    let staying = member("pod-2")
        .build()
        .expect("valid")
        .join()
        .await
        .expect("joined");
    for path in FILES {
        let text = text(path);
        let documents = documents(path, &text);
        let container = container(of_kind(&documents, "Deployment"));
        assert_eq!(list(container, "command"), [COORDCTL]);
        let dir = tempfile::tempdir().expect("a directory");
        let status = dir.path().join("lease");
        let status = status.to_str().expect("UTF-8");
        let probe = list(container, "readinessProbe.exec.command");
        let ask = || {
            let mut asked = start(&probe[1..], status, &server, &[]);
            asked.wait(LIMIT).expect("it ends").code()
        };
        assert_eq!(ask(), Some(4), "{path}: ready before it runs");
        let program = [
            "--",
            "sh",
            "-c",
            "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done",
        ];
        let mut running = start(&list(container, "args"), status, &server, &program);
        let ready = wait::until(LIMIT, || (ask() == Some(0)).then_some(()));
        assert!(ready.is_some(), "{path}: {}", running.stderr());
        // The lease is there before the program listens to signals.
        running
            .wait_for_line(LIMIT, |line| line == "ready")
            .expect("it starts");
        if find(container, "lifecycle").is_some() {
            let hook = list(container, "lifecycle.preStop.exec.command");
            let mut hook = start(&hook[1..], status, &server, &[]);
            let code = hook.wait(LIMIT).expect("it ends").code();
            assert_eq!(code, Some(0), "{}", hook.stderr());
            assert_eq!(going.owned().len(), 0);
        }
        running.process().terminate().expect("it runs");
        let code = running.wait(LIMIT).expect("it ends").code();
        assert_eq!(code, Some(42), "{path}: {}", running.stderr());
        assert_eq!(ask(), Some(4), "{path}: ready after its end");
    }
    going.leave().await.expect("it owns nothing");
    staying.leave().await.expect("nothing is worked in");
}
