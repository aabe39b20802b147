//! The same service on one thread with a handler that is not `Send`.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tidegate_listener::Service;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::harness::{options, replies, send, within};

#[test]
fn a_shard_serves_with_a_handler_that_stays_on_its_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let calls = Rc::new(Cell::new(0));
    LocalSet::new().block_on(&runtime, async {
        let service = Service::new(options()).unwrap();
        let address = service.local_address();
        let (stop, stopped) = oneshot::channel::<()>();
        let counted = Rc::clone(&calls);
        let handler = move |_, _| {
            let counted = Rc::clone(&counted);
            async move {
                tokio::task::yield_now().await;
                counted.set(counted.get() + 1);
                Response::new(Full::<Bytes>::from("ok"))
            }
        };
        let running = tokio::task::spawn_local(service.run_local(handler, async {
            let _ = stopped.await;
        }));
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let mut stream = send(address, request).await;
        assert_eq!(replies(&mut stream).await[0].status, 200);
        stop.send(()).unwrap();
        within(running).await.unwrap().unwrap();
    });
    assert_eq!(calls.get(), 1);
}
