//! The QUIC transport alone: who is served, who is refused.

use super::*;
use crate::{
    Profile, Tuning,
    identity::Authority,
    wire::v1::{CallV1, RefusalV1},
};
use futures_util::stream;

/// Answers everything with a refusal that repeats who asked.
struct Parrot;

impl Serve for Parrot {
    fn call(&self, request: Frame) -> BoxFuture<'static, Frame> {
        let reason = format!("from {}", request.from);
        Box::pin(std::future::ready(Frame::new(2, 0, &RefusalV1 { reason })))
    }

    fn stream(&self, requests: BoxStream<'static, Frame>) -> BoxStream<'static, Frame> {
        requests.map(|r| Frame::new(2, 0, &RefusalV1 { reason: format!("from {}", r.from) })).boxed()
    }

    fn push(&self, head: Frame, body: Bytes) -> BoxFuture<'static, Frame> {
        let reason = format!("from {} {} bytes", head.from, body.len());
        Box::pin(std::future::ready(Frame::new(2, 0, &RefusalV1 { reason })))
    }

    fn push_bytes(&self, head: &Frame) -> Option<u64> {
        Some(head.decode::<CallV1>().ok()?.message.len() as u64 * 1000)
    }
}

fn bind(authority: &Authority, node: NodeId) -> QuicTransport {
    let options = Options {
        cluster_name: authority.cluster().to_owned(),
        node,
        region: "r".into(),
        az: "z".into(),
        data_dir: "unused".into(),
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: String::new(),
        profile: Profile::Lan,
        tuning: Tuning::default(),
    };
    QuicTransport::bind(&options, &authority.identity(node).unwrap(), None).unwrap()
}

fn pair() -> (QuicTransport, Target) {
    let authority = Authority::generate("toy").unwrap();
    let (one, two) = (bind(&authority, 1), bind(&authority, 2));
    let to = Target { node: 2, address: two.local_address().to_string(), begun: Default::default() };
    tokio::spawn(async move { two.serve(Arc::new(Parrot)).await });
    (one, to)
}

fn hello(from: NodeId) -> Frame {
    Frame::new(from, 0, &CallV1 { message: b"hello".to_vec() })
}

fn reason(frame: &Frame) -> String {
    frame.decode::<RefusalV1>().unwrap().reason
}

#[tokio::test(flavor = "multi_thread")]
async fn all_three_modes_work() {
    let (one, to) = pair();
    assert_eq!(reason(&one.call(to.clone(), Lane::Vote, hello(1)).await.unwrap()), "from 1");
    let requests = stream::iter([hello(1), hello(1), hello(1)]).boxed();
    let answers: Vec<_> = one.stream(to.clone(), requests).await.unwrap().collect().await;
    assert_eq!(answers.iter().filter(|a| reason(a.as_ref().unwrap()) == "from 1").count(), 3);
    let body = Bytes::from(vec![7; 5000]);
    assert_eq!(reason(&one.push(to.clone(), hello(1), body).await.unwrap()), "from 1 5000 bytes");
    let larger = Bytes::from(vec![7; 500_000]);
    assert!(one.push(to.clone(), hello(1), larger).await.is_err(), "more than was announced");
    assert_eq!(one.links().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_in_anothers_name_ends_the_connection() {
    let (one, to) = pair();
    let first = one.shared.connection(&to).await.unwrap();
    let forged = one.call(to.clone(), Lane::Request, hello(3)).await;
    assert!(matches!(forged, Err(SendError::Unanswered(_))), "{forged:?}");
    let closed = first.closed().await;
    assert!(closed.to_string().contains("sender mismatch"), "{closed}");
    let requests = stream::iter([hello(1), hello(3)]).boxed();
    let answers: Vec<_> = one.stream(to.clone(), requests).await.unwrap().collect().await;
    assert!(answers.iter().filter(|a| a.is_ok()).count() <= 1, "the forged frame is not answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dialed_name_binds_the_node() {
    let (one, to) = pair();
    let wrong = Target { node: 3, ..to };
    let refused = one.call(wrong, Lane::Request, hello(1)).await;
    assert!(matches!(&refused, Err(SendError::NotSent(text)) if text.contains("certificate")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_clusters_node_is_not_served() {
    let (_, to) = pair();
    let stranger = bind(&Authority::generate("toy").unwrap(), 1);
    assert!(stranger.call(to, Lane::Request, hello(1)).await.is_err());
}
