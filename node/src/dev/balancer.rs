//! A small layer-4 balancer that stands for a region's load balancer: it spreads connections and retries a refused
//! connect on the next node. It never looks into the bytes, so a connection that was accepted is never replayed.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, timeout},
};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
/// How long a node that refused is tried last.
const SHUN: Duration = Duration::from_millis(500);
const CONNECTIONS_MAX: usize = 8_192;

struct Backend {
    address: SocketAddr,
    /// Milliseconds since the balancer started until which this node is tried last.
    shunned_until_ms: AtomicU64,
}

/// Accepts on `listener` until the task is dropped.
pub(crate) async fn balance(listener: TcpListener, nodes: Vec<SocketAddr>) {
    let backends: Arc<[Backend]> =
        nodes.into_iter().map(|address| Backend { address, shunned_until_ms: AtomicU64::new(0) }).collect();
    let (start, turn) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (backends, turn) = (backends.clone(), turn.clone());
        tokio::spawn(async move {
            let _permit = permit;
            serve(client, &backends, turn.fetch_add(1, Ordering::Relaxed), start).await;
        });
    }
}

async fn serve(mut client: TcpStream, backends: &[Backend], turn: usize, start: Instant) {
    let now_ms = start.elapsed().as_millis() as u64;
    let mut order: Vec<&Backend> =
        (0..backends.len()).map(|i| &backends[(turn + i) % backends.len()]).collect();
    order.sort_by_key(|backend| backend.shunned_until_ms.load(Ordering::Relaxed) > now_ms);
    for backend in order {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(backend.address)).await {
            Ok(Ok(mut node)) => {
                backend.shunned_until_ms.store(0, Ordering::Relaxed);
                let _ = client.set_nodelay(true);
                let _ = node.set_nodelay(true);
                let _ = copy_bidirectional(&mut client, &mut node).await;
                return;
            }
            _ => backend.shunned_until_ms.store(now_ms + SHUN.as_millis() as u64, Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn echo(name: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(name.as_bytes()).await;
            }
        });
        address
    }

    async fn ask(address: SocketAddr) -> String {
        let mut answer = String::new();
        TcpStream::connect(address).await.unwrap().read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_dead_node_costs_no_connection() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (a, b) = (echo("a").await, echo("b").await);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(balance(listener, vec![a, gone, b]));
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..30 {
            *seen.entry(ask(address).await).or_insert(0) += 1;
        }
        assert_eq!(seen.keys().map(String::as_str).collect::<Vec<_>>(), ["a", "b"]);
        assert!(seen.values().all(|count| *count >= 5), "{seen:?}");
    }
}
