//! The compose files and the example that they run.

use std::time::Duration;

use coord_tests::{program::Program, server::RedisServer};
use raus::Raus;

use super::{at, documents, find, list, string, text};

const LIMIT: Duration = Duration::from_secs(300);

/// Runs the example, which lies beside the program that it starts.
fn e2e(server: &RedisServer, option: &str) -> (Option<i32>, String) {
    let program = Program::at(env!("CARGO_BIN_EXE_e2e")).args([option]);
    let program = program.env("REDIS_URL", server.url());
    let mut running = program.spawn().expect("it starts");
    let status = running.wait(LIMIT).expect("it ends");
    let said: Vec<String> = running.lines().into_iter().map(|line| line.text).collect();
    (
        status.code(),
        format!("{}\n{}", said.join("\n"), running.stderr()),
    )
}

#[test]
fn the_example_ends_with_0_where_all_is_well_and_with_1_where_ids_collide() {
    let server = RedisServer::start().expect("it starts");
    let (code, said) = e2e(&server, "--through-faults");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("no two equal"), "{said}");
    let (code, said) = e2e(&server, "--two-namespaces");
    assert_eq!(code, Some(1), "{said}");
    // Whose IDs never fall into one millisecond has had its machine ID twice all the same.
    let verdicts = ["duplicates among", "held twice"];
    assert!(
        verdicts.iter().any(|verdict| said.contains(verdict)),
        "{said}"
    );
    let (code, said) = e2e(&server, "--three-namespaces");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("usage"), "{said}");
}

#[test]
fn every_deployment_runs_the_example_on_servers_of_its_own() {
    for (deployment, servers) in [("standalone", 1), ("cluster", 6), ("sentinel", 3)] {
        let path = format!("{deployment}/compose.yaml");
        let text = text(&path);
        let file = &documents(&path, &text)[0];
        let app = at(file, "services.app");
        // An example that is not told what to do does what is to hold.
        assert_eq!(list(app, "command"), ["${E2E_OPTION:---through-faults}"]);
        assert_eq!(string(app, "build.dockerfile"), "docker/Dockerfile");
        assert_eq!(string(app, "build.target"), "app");
        let url = string(app, "environment.REDIS_URL");
        Raus::builder(url, 0..=1_023).build().expect("a URL");
        let hosts = url.split_once("://").expect("a URL").1;
        let hosts = hosts.split('/').next().expect("hosts");
        let hosts: Vec<&str> = hosts
            .split(',')
            .map(|host| host.split(':').next().expect("a name"))
            .collect();
        assert_eq!(hosts.len(), servers, "{path}: {url}");
        for host in hosts {
            assert!(
                find(file, &format!("services.{host}")).is_some(),
                "{path}: {host}"
            );
        }
        let waits_for = at(app, "depends_on").as_mapping().expect("services");
        for (service, how) in waits_for {
            let service = service.as_str().expect("a name");
            assert!(
                find(file, &format!("services.{service}")).is_some(),
                "{path}: {service}"
            );
            assert_eq!(string(how, "condition"), "service_healthy", "{path}");
        }
        assert!(text.contains("${REDIS_IMAGE:-redis:8}"), "{path}");
    }
}

#[test]
fn images_run_as_nobody_in_particular() {
    let text = text("Dockerfile");
    let users: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("USER "))
        .collect();
    assert_eq!(users, ["65532:65532", "65532:65532"]);
    let last = text.rfind("\nFROM ").expect("stages");
    assert!(
        text[last..].contains(" AS coordctl\n"),
        "what is built where no target is named"
    );
}
