//! The bytes of one connection on their way.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::{mpsc, watch},
    time::Instant,
};

/// What every connection obeys; index 0 is for requests, 1 for replies.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// Connections with a lower number are held.
    pub(super) held_below: [u64; 2],
    pub(super) delay: [Duration; 2],
}

/// One direction of one connection.
pub(super) struct Pipe {
    faults: watch::Receiver<Faults>,
    number: u64,
    way: usize,
}

impl Pipe {
    pub(super) fn new(faults: &watch::Receiver<Faults>, number: u64, way: usize) -> Self {
        Self {
            faults: faults.clone(),
            number,
            way,
        }
    }

    fn due(&self) -> Instant {
        Instant::now() + self.faults.borrow().delay[self.way]
    }

    async fn until_free(&mut self) {
        let (number, way) = (self.number, self.way);
        let free = |faults: &Faults| faults.held_below[way] <= number;
        // An error means that the proxy is being dropped, which ends this task anyway.
        let _ = self.faults.wait_for(free).await;
    }
}

/// Copies bytes, each chunk when it is due, until one side closes; passes the end on like a chunk.
pub(super) async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut pipe: Pipe) {
    let (chunks, mut due_chunks) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_IN_FLIGHT);
    let due_pipe = Pipe::new(&pipe.faults, pipe.number, pipe.way);
    let read = async move {
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = from.read(&mut buffer).await.unwrap_or(0);
            let chunk = (due_pipe.due(), buffer[..length].to_vec());
            if chunks.send(chunk).await.is_err() || length == 0 {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = due_chunks.recv().await {
            tokio::time::sleep_until(due).await;
            pipe.until_free().await;
            if chunk.is_empty() || to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        // Dropping the half closes it; the peer has nothing to learn if that fails.
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

const CHUNK: usize = 16 * 1024;
const CHUNKS_IN_FLIGHT: usize = 256;
