//! A server whose answer never ends.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc,
    time::Duration,
};

use raus::{AcquireError, Placement, Raus};

/// Answers everything with `announced` and then goes on sending; tells for each connection when nobody takes it any more.
fn start(announced: &'static str) -> (u16, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (ended, ends) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(32) {
            let Ok(mut stream) = stream else { return };
            let ended = ended.clone();
            std::thread::spawn(move || {
                let mut request = [0; 4_096];
                let heard = stream.read(&mut request);
                let mut bytes = announced.as_bytes();
                while heard.is_ok() && stream.write_all(bytes).is_ok() {
                    // Slowly, for the sake of the machine: what counts is that it does not stop by itself.
                    std::thread::sleep(Duration::from_millis(2));
                    bytes = b":1\r\n:1\r\n:1\r\n:1\r\n";
                }
                let _ = ended.send(());
            });
        }
    });
    (port, ends)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_an_end_is_given_up_with_its_connection() {
    for announced in [
        "$1099511627776\r\n",
        "*2147483647\r\n",
        "*9223372036854775807\r\n",
        "+",
    ] {
        let (port, ends) = start(announced);
        let raus = Raus::builder(&format!("redis://127.0.0.1:{port}"), 0..=1)
            .placement(Placement::Runtime(tokio::runtime::Handle::current()))
            .build()
            .expect("valid");
        let asked = raus.acquire_within(Duration::from_secs(2));
        let outcome = tokio::time::timeout(Duration::from_secs(20), asked).await;
        let error = outcome.expect("it ends").expect_err("nothing was granted");
        let is_clear = matches!(
            &error,
            AcquireError::Store(_) | AcquireError::TimedOut { .. }
        );
        assert!(is_clear, "{announced:?}: {error:?}");
        drop(raus);
        let ended = tokio::task::spawn_blocking(move || ends.recv_timeout(Duration::from_secs(20)));
        ended
            .await
            .expect("no panic")
            .expect("the connection was given up");
    }
}
