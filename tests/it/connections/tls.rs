//! Encrypted connections: who is trusted, who is let in, and what is said where not.

use std::{fs, time::Duration};

use ::raus::{Raus, Tls};
use coord_tests::{
    server::RedisServer,
    tls::{Ca, Identity},
};
use redbuckets::Redbuckets;
use redis::{ClientTlsConfig, TlsCertificates};

use super::{acquire, causes, hints, live_as_instances, live_as_machine, until};

fn ca() -> Ca {
    Ca::new().expect("is made")
}

fn server(ca: &Ca) -> RedisServer {
    let identity = ca.server().expect("is issued");
    RedisServer::builder()
        .tls(&identity)
        .start()
        .expect("starts")
}

fn pem(ca: &Ca) -> Vec<u8> {
    fs::read(ca.certificate()).expect("it was written")
}

fn trusting(ca: &Ca) -> Tls {
    Tls::new().root_certificates(pem(ca))
}

fn showing(tls: Tls, client: &Identity) -> Tls {
    tls.client_certificate(
        fs::read(&client.certificate).expect("it was written"),
        fs::read(&client.key).expect("it was written"),
    )
}

/// Machine IDs and buckets.
async fn live(url: &str, tls: &Tls) {
    live_as_machine(Raus::builder(url, 0..=1).tls(tls.clone())).await;
    live_as_instances([(); 2].map(|()| Redbuckets::builder(url, "group").tls(tls.clone()))).await;
}

/// Why nothing is acquired, in time.
async fn refusal(url: &str, tls: Option<Tls>) -> String {
    let mut builder = Raus::builder(url, 0..=9).discovery(Duration::ZERO);
    if let Some(tls) = tls {
        builder = builder.tls(tls);
    }
    let raus = builder.build().expect("valid");
    causes(&acquire(&raus).await.expect_err("must be refused"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_for_a_whole_life() {
    let ca = ca();
    let server = server(&ca);
    live(&server.tls_url(), &trusting(&ca)).await;
    live(
        &format!("{}?protocol=resp3", server.tls_url()),
        &trusting(&ca),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_trusted_unasked() {
    let ca = ca();
    let server = server(&ca);
    for tls in [None, Some(Tls::new()), Some(trusting(&self::ca()))] {
        let text = refusal(&server.tls_url(), tls).await;
        assert!(
            text.contains("no connection to rediss://localhost")
                && text.contains("invalid peer certificate"),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_where_one_is_asked_for() {
    let ca = ca();
    let server = RedisServer::builder()
        .tls(&ca.server().expect("is issued"))
        .tls_clients(&ca)
        .start()
        .expect("starts");
    let own = ca.client().expect("is issued");
    live(&server.tls_url(), &showing(trusting(&ca), &own)).await;

    let text = refusal(&server.tls_url(), Some(trusting(&ca))).await;
    assert!(text.to_lowercase().contains("certificate"), "{text}");
    let stranger = self::ca().client().expect("is issued");
    let text = refusal(&server.tls_url(), Some(showing(trusting(&ca), &stranger))).await;
    assert!(
        text.contains("received fatal alert") || text.contains("certificate"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_bear_another_name_than_its_host() {
    let ca = ca();
    let identity = ca.server_named(&["redis.example"]).expect("is issued");
    let server = RedisServer::builder()
        .tls(&identity)
        .start()
        .expect("starts");
    let text = refusal(&server.tls_url(), Some(trusting(&ca))).await;
    assert!(text.contains("not valid for name"), "{text}");

    let tls = trusting(&ca).server_name("redis.example");
    live(&server.tls_url(), &tls).await;
    // Subscriptions find their way, too.
    server.flush_all().expect("flushes");
    let group = |name| Redbuckets::builder(&server.tls_url(), name).tls(tls.clone());
    hints::wakes_at_once(&server, group("woken"), group("woken")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn speaking_clear_to_a_tls_port_and_tls_to_a_clear_one_ends_in_time() {
    let ca = ca();
    let server = server(&ca);
    let clear_to_tls = format!("redis://localhost:{}", server.tls_addr().port());
    let text = refusal(&clear_to_tls, None).await;
    assert!(
        text.contains(&format!("no connection to {clear_to_tls}")),
        "{text}"
    );
    let tls_to_clear = format!("rediss://localhost:{}", server.port());
    let text = refusal(&tls_to_clear, Some(trusting(&ca))).await;
    assert!(
        text.contains(&format!("no connection to {tls_to_clear}")),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_brings_its_certificates() {
    let ca = ca();
    let server = RedisServer::builder()
        .tls(&ca.server().expect("is issued"))
        .tls_clients(&ca)
        .start()
        .expect("starts");
    let own = ca.client().expect("is issued");
    let certificates = TlsCertificates {
        client_tls: Some(ClientTlsConfig {
            client_cert: fs::read(&own.certificate).expect("it was written"),
            client_key: fs::read(&own.key).expect("it was written"),
        }),
        root_cert: Some(pem(&ca)),
    };
    let client = redis::Client::build_with_tls(server.tls_url(), certificates).expect("valid");
    live_as_machine(Raus::with_connection(client.clone(), "ns", 0..=1)).await;
    let groups = [(); 2].map(|()| Redbuckets::with_connection(client.clone(), "group"));
    live_as_instances(groups).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_encrypted_node_by_node() {
    let ca = ca();
    let server = RedisServer::builder()
        .tls(&ca.server().expect("is issued"))
        .config_line("cluster-enabled yes")
        .config_line("tls-cluster yes")
        .config_line(format!("tls-ca-cert-file {}", ca.certificate().display()))
        .start()
        .expect("starts");
    server
        .cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"])
        .expect("it takes every slot");
    until("it serves alone", || {
        let info: String = server.query(&["CLUSTER", "INFO"]).expect("asks");
        info.contains("cluster_state:ok")
    })
    .await;
    let url = server
        .tls_url()
        .replacen("rediss://", "redisscluster://", 1);
    live(&url, &trusting(&ca)).await;
    let text = refusal(&url, None).await;
    assert!(text.contains("invalid peer certificate"), "{text}");
}

#[test]
fn what_contradicts_itself_is_refused_before_anything_is_sent() {
    let ca = ca();
    let refused = |url: &str, tls: Tls| {
        let error = Raus::builder(url, 0..=9).tls(tls).build();
        causes(&error.expect_err("must be refused"))
    };
    for url in [
        "redis://h",
        "redis+unix:///s",
        "rediscluster://h",
        "redis+sentinel://h/m",
        "memory://m",
    ] {
        let text = refused(url, trusting(&ca));
        assert!(text.contains("TLS options for"), "{url}: {text}");
        assert!(text.contains("use rediss://"), "{url}: {text}");
    }
    for url in ["rediss://h", "redisscluster://h", "rediss+sentinel://h/m"] {
        Raus::builder(url, 0..=9)
            .tls(showing(trusting(&ca), &ca.client().expect("is issued")).server_name("n"))
            .build()
            .expect("valid");
    }
    let own = ca.client().expect("is issued");
    let chain = fs::read(&own.certificate).expect("it was written");
    let key = fs::read(&own.key).expect("it was written");
    let too_long = [pem(&ca), vec![b'x'; Tls::MAX_PEM]].concat();
    for (tls, reason) in [
        (
            trusting(&ca).server_name("redis example"),
            "no certificate can bear the name \"redis example\"",
        ),
        (
            Tls::new().root_certificates(too_long.clone()),
            "the text of the root certificates has 10",
        ),
        (
            trusting(&ca).client_certificate(too_long.clone(), key.clone()),
            "the limit is 1048576; give a PEM file with nothing else in it",
        ),
        (
            trusting(&ca).client_certificate(chain.clone(), too_long),
            "the text of the client key has 10",
        ),
        (
            Tls::new().root_certificates("s3cret"),
            "no certificate in the root certificates given",
        ),
        (
            trusting(&ca).client_certificate("s3cret", key),
            "no certificate in the client certificate given",
        ),
        (
            trusting(&ca).client_certificate(chain, "s3cret"),
            "no private key in the key given",
        ),
    ] {
        let text = refused("redisscluster://h", tls);
        assert!(text.contains(reason) && !text.contains("s3cret"), "{text}");
    }
}
