//! The links between the nodes of a region under test: forwards the datagrams between them, and drops those of links that are
//! cut. Knows nothing of what it carries; needs no privileges.
//!
//! Each node is reached at a door of this process. A node sends from the one socket it also listens on, so the address that a
//! datagram comes from names its sender.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::{
    net::UdpSocket,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use crate::limits::{DATAGRAM_BYTES, LINK_RETRY, LINKS_PER_DOOR};

/// All links between some nodes. Dropping it ends them.
pub(crate) struct Links {
    doors: Vec<SocketAddr>,
    fabric: Arc<Fabric>,
    tasks: Vec<JoinHandle<()>>,
}

/// What all doors share.
struct Fabric {
    nodes: Vec<SocketAddr>,
    /// Whether the link between two nodes is cut, for every ordered pair.
    cuts: Vec<AtomicBool>,
    carried: AtomicU64,
    dropped: AtomicU64,
}

/// Where one node is reached.
struct Door {
    node: usize,
    socket: Arc<UdpSocket>,
    fabric: Arc<Fabric>,
    /// The socket on which datagrams of a sender arrive at the node, and answers come back.
    senders: HashMap<SocketAddr, Arc<UdpSocket>>,
    returns: JoinSet<()>,
}

impl Links {
    /// Opens a door for each of `nodes`, which need not listen yet.
    ///
    /// # Errors
    /// No socket can be had.
    pub(crate) async fn open(nodes: Vec<SocketAddr>) -> io::Result<Self> {
        let cuts = (0..nodes.len() * nodes.len()).map(|_| AtomicBool::new(false)).collect();
        let (carried, dropped) = (AtomicU64::new(0), AtomicU64::new(0));
        let fabric = Arc::new(Fabric { nodes, cuts, carried, dropped });
        let (mut doors, mut tasks) = (Vec::new(), Vec::new());
        for node in 0..fabric.nodes.len() {
            let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
            doors.push(socket.local_addr()?);
            let (senders, returns) = (HashMap::new(), JoinSet::new());
            let door = Door { node, socket, fabric: fabric.clone(), senders, returns };
            tasks.push(tokio::spawn(door.serve()));
        }
        Ok(Self { doors, fabric, tasks })
    }

    /// Where each node is reached, in their order.
    pub(crate) fn doors(&self) -> &[SocketAddr] {
        &self.doors
    }

    /// Cuts a node off from all others.
    pub(crate) fn isolate(&self, node: usize) {
        for other in 0..self.doors.len() {
            self.fabric.cut(node, other, true);
        }
    }

    /// Mends every link.
    pub(crate) fn mend(&self) {
        self.fabric.cuts.iter().for_each(|cut| cut.store(false, Ordering::Release));
    }

    /// Datagrams that were forwarded, and that were dropped, so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.fabric.carried.load(Ordering::Relaxed), self.fabric.dropped.load(Ordering::Relaxed))
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Fabric {
    fn cut(&self, one: usize, other: usize, is_cut: bool) {
        for (from, to) in [(one, other), (other, one)] {
            if let Some(cut) = self.cuts.get(from * self.nodes.len() + to) {
                cut.store(is_cut, Ordering::Release);
            }
        }
    }

    /// Counts a datagram between a sender and a node; whether it passes. A sender that is no node always does: one that has no
    /// identity yet asks for it from a socket that it throws away.
    fn passes(&self, sender: Option<usize>, node: usize) -> bool {
        let cut = sender.and_then(|sender| self.cuts.get(sender * self.nodes.len() + node));
        let passes = !cut.is_some_and(|cut| cut.load(Ordering::Acquire));
        let counter = if passes { &self.carried } else { &self.dropped };
        counter.fetch_add(1, Ordering::Relaxed);
        passes
    }

    fn number(&self, address: SocketAddr) -> Option<usize> {
        self.nodes.iter().position(|node| *node == address)
    }
}

impl Door {
    async fn serve(mut self) {
        let mut datagram = vec![0; DATAGRAM_BYTES];
        loop {
            let Ok((size, from)) = self.socket.recv_from(&mut datagram).await else {
                sleep(LINK_RETRY).await;
                continue;
            };
            if !self.fabric.passes(self.fabric.number(from), self.node) {
                continue;
            }
            // What the network does not take is lost, as it is on a network.
            if let Ok(socket) = self.socket_of(from).await {
                let _lost = socket.send(datagram.get(..size).unwrap_or_default()).await;
            }
        }
    }

    /// The socket that stands for a sender towards the node.
    async fn socket_of(&mut self, from: SocketAddr) -> io::Result<Arc<UdpSocket>> {
        if let Some(socket) = self.senders.get(&from) {
            return Ok(socket.clone());
        }
        if self.senders.len() >= LINKS_PER_DOOR {
            // Only senders that come and go make so many; those that stay get a new socket with their next datagram.
            self.senders.clear();
            self.returns.abort_all();
        }
        let to = *self.fabric.nodes.get(self.node).ok_or(io::ErrorKind::NotFound)?;
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        socket.connect(to).await?;
        self.senders.insert(from, socket.clone());
        self.returns.spawn(bring_back(
            self.fabric.clone(),
            self.node,
            from,
            socket.clone(),
            self.socket.clone(),
        ));
        Ok(socket)
    }
}

/// Carries the answers of a node back to a sender.
async fn bring_back(
    fabric: Arc<Fabric>,
    node: usize,
    sender: SocketAddr,
    socket: Arc<UdpSocket>,
    door: Arc<UdpSocket>,
) {
    let mut datagram = vec![0; DATAGRAM_BYTES];
    loop {
        // A node that is down makes an error of every datagram that was sent to it.
        let Ok(size) = socket.recv(&mut datagram).await else {
            sleep(LINK_RETRY).await;
            continue;
        };
        if fabric.passes(fabric.number(sender), node) {
            let _lost = door.send_to(datagram.get(..size).unwrap_or_default(), sender).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn node() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0").await.unwrap()
    }

    /// Sends `text` from one node to another through its door; the answer's bytes, or `None` when nothing comes back.
    async fn ask(links: &Links, from: &UdpSocket, to: (usize, &UdpSocket), text: &str) -> Option<String> {
        let mut buffer = [0; 64];
        let patience = Duration::from_millis(300);
        from.send_to(text.as_bytes(), links.doors()[to.0]).await.unwrap();
        let (size, sender) = timeout(patience, to.1.recv_from(&mut buffer)).await.ok()?.unwrap();
        to.1.send_to(&buffer[..size], sender).await.unwrap();
        let (size, door) = timeout(patience, from.recv_from(&mut buffer)).await.ok()?.unwrap();
        assert_eq!(door, links.doors()[to.0], "an answer comes from where the question went");
        Some(String::from_utf8_lossy(&buffer[..size]).into_owned())
    }

    #[tokio::test]
    async fn only_cut_links_drop() {
        let nodes = [node().await, node().await, node().await];
        let addresses = nodes.iter().map(|node| node.local_addr().unwrap()).collect();
        let links = Links::open(addresses).await.unwrap();
        let stranger = node().await;
        let [a, b, c] = &nodes;
        assert_eq!(ask(&links, a, (1, b), "ab").await.as_deref(), Some("ab"));
        assert_eq!(ask(&links, a, (2, c), "ac").await.as_deref(), Some("ac"));
        links.isolate(1);
        let before = links.counts().1;
        assert_eq!(ask(&links, a, (1, b), "ab").await, None);
        assert_eq!(ask(&links, b, (2, c), "bc").await, None);
        assert_eq!(links.counts().1, before + 2);
        assert_eq!(ask(&links, c, (0, a), "ca").await.as_deref(), Some("ca"));
        assert_eq!(ask(&links, &stranger, (1, b), "xb").await.as_deref(), Some("xb"));
        links.mend();
        assert_eq!(ask(&links, a, (1, b), "again").await.as_deref(), Some("again"));
    }

    #[tokio::test]
    async fn answers_under_way_are_dropped_too() {
        let (a, b) = (node().await, node().await);
        let links = Links::open(vec![a.local_addr().unwrap(), b.local_addr().unwrap()]).await.unwrap();
        a.send_to(b"question", links.doors()[1]).await.unwrap();
        let mut buffer = [0; 64];
        let (_, sender) = b.recv_from(&mut buffer).await.unwrap();
        links.isolate(0);
        b.send_to(b"answer", sender).await.unwrap();
        assert!(timeout(Duration::from_millis(300), a.recv_from(&mut buffer)).await.is_err());
        assert_eq!(links.counts().1, 1);
    }

    #[tokio::test]
    async fn a_node_that_is_down_does_not_end_its_links() {
        let (a, b) = (node().await, node().await);
        let address = b.local_addr().unwrap();
        let links = Links::open(vec![a.local_addr().unwrap(), address]).await.unwrap();
        assert!(ask(&links, &a, (1, &b), "one").await.is_some());
        drop(b);
        for _ in 0..3 {
            a.send_to(b"lost", links.doors()[1]).await.unwrap();
        }
        sleep(LINK_RETRY * 3).await;
        let b = UdpSocket::bind(address).await.unwrap();
        assert!(ask(&links, &a, (1, &b), "two").await.is_some());
    }
}
