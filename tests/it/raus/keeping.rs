//! What it takes to keep a machine ID, and how it is lost and given back.

use std::time::Duration;

use ::raus::{Event, LossCause, Raus};
use coord_tests::proxy::{Direction, Proxy};

use super::{acquire_all, client, client_at, event, server, until};

const SHORT_TTL: Duration = Duration::from_millis(900);
const SHORT_HEARTBEAT: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_is_one_read_for_the_server_however_many_leases_it_renews() {
    let server = server();
    let raus = client(&server, 0..=1023)
        .heartbeat(Duration::from_millis(200))
        .build()
        .expect("valid");
    let held = acquire_all(&raus, 20).await;
    // Leases granted at different moments fall into step within one heartbeat.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut connection = server.connection().expect("connects");
    let before = Traffic::read(&mut connection);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = Traffic::read(&mut connection);
    let heartbeats = (after.renewals - before.renewals) / 20;
    let reads = after.reads - before.reads;
    assert!(heartbeats >= 5, "{heartbeats} heartbeats in 2 s");
    // This test's own query is a read too, and one heartbeat may be counted on one side only.
    assert!(
        reads <= heartbeats + 2,
        "{reads} reads for {heartbeats} heartbeats"
    );
    drop(held);
}

/// What the server has done so far, in one reply.
struct Traffic {
    reads: u64,
    renewals: u64,
}

impl Traffic {
    fn read(connection: &mut redis::Connection) -> Self {
        let text: String = redis::cmd("INFO")
            .arg("all")
            .query(connection)
            .expect("info");
        let field = |name: &str, ends: &str| {
            let (_, rest) = text.split_once(name).expect("the field is there");
            rest[..rest.find(ends).expect("ends")]
                .parse()
                .expect("a number")
        };
        Self {
            reads: field("total_reads_processed:", "\r"),
            renewals: field("cmdstat_evalsha:calls=", ","),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_puts_the_lease_at_risk_then_loses_it_then_gets_another() {
    let server = server();
    let proxy = Proxy::in_front_of(&server).expect("proxy");
    let raus = client_at(&proxy.url(), 0..=1)
        .ttl(SHORT_TTL)
        .heartbeat(SHORT_HEARTBEAT)
        .reacquire(true)
        .build()
        .expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let (old, old_fence, mut events) = (machine_id.id(), machine_id.fence(), machine_id.events());
    proxy.cut().expect("cuts");
    event(&mut events, |event| {
        matches!(event, Event::RenewalFailed { .. })
    })
    .await;
    event(&mut events, |event| {
        matches!(event, Event::AtRisk { cause: Some(_), .. })
    })
    .await;
    assert!(machine_id.is_held());
    let lost = event(&mut events, |event| matches!(event, Event::Lost(_))).await;
    assert!(
        matches!(&lost, Event::Lost(loss) if matches!(loss.cause, LossCause::Expired { error: Some(_) })),
        "{lost:?}"
    );
    assert!(!machine_id.is_held());
    proxy.resume().expect("resumes");
    let again = event(&mut events, |event| {
        matches!(event, Event::Reacquired { .. })
    })
    .await;
    let Event::Reacquired {
        old: was,
        new,
        fence,
    } = again
    else {
        unreachable!("the filter let nothing else through");
    };
    assert_eq!(was, old);
    assert_eq!((machine_id.id(), machine_id.fence()), (new, fence));
    assert!(new != old || old_fence <= fence);
    assert!(machine_id.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_connection_is_replaced_before_the_lease_is_at_risk() {
    let server = server();
    let proxy = Proxy::in_front_of(&server).expect("proxy");
    let raus = client_at(&proxy.url(), 0..=0)
        .ttl(Duration::from_secs(6))
        .heartbeat(Duration::from_millis(200))
        .build()
        .expect("valid");
    let machine_id = raus.acquire().await.expect("free");
    let mut events = machine_id.events();
    // What is connected now hears nothing more; new connections work.
    proxy.half_open(Direction::Both).expect("half-opens");
    let first = event(&mut events, |event| {
        matches!(event, Event::RenewalFailed { .. })
    })
    .await;
    assert!(matches!(first, Event::RenewalFailed { .. }));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(machine_id.is_held());
    let renewed = machine_id.deadline();
    until("another renewal", || renewed < machine_id.deadline()).await;
}

#[test]
fn a_blocked_runtime_loses_no_lease() {
    let server = server();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    let machine_id = runtime.block_on(async {
        Raus::builder(&server.url(), 0..=0)
            .discovery(Duration::ZERO)
            .ttl(SHORT_TTL)
            .heartbeat(SHORT_HEARTBEAT)
            .build()
            .expect("valid")
            .acquire()
            .await
            .expect("free")
    });
    let fence = machine_id.fence();
    runtime.block_on(async { std::thread::sleep(3 * SHORT_TTL) });
    assert!(machine_id.is_held());
    assert_eq!(machine_id.fence(), fence);
    runtime.block_on(machine_id.release()).expect("releases");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_namespaces_of_one_process_share_connections() {
    let server = server();
    let mut held = Vec::new();
    for namespace in ["a", "b", "c"] {
        let url = format!("{}?ns={namespace}", server.url());
        let raus = Raus::builder(&url, 0..=9)
            .discovery(Duration::ZERO)
            .build()
            .expect("valid");
        held.extend(acquire_all(&raus, 3).await);
    }
    let clients = server.info("clients").expect("info")["connected_clients"].clone();
    let clients: u32 = clients.parse().expect("a number");
    assert!(
        clients <= 3,
        "{clients} connections, one of them this test's"
    );
    drop(held);
}
