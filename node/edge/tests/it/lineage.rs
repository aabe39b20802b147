//! An API whose upstream is this gateway.

use std::sync::Arc;

use tidegate_proto::limits::LOOP_VISITS_MAX;

use crate::room::{Room, Upstream, lower_name, mock, proxy, snapshot};

/// The header by which a gateway tells which API calls, and the trace: as another gateway sends them.
const FROM_GATEWAY: &str =
    "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793\nx-amzn-apigateway-api-id: api0";

#[test]
fn a_loop_ends_and_takes_nothing_with_it() {
    let room = Room::serve(&[("/x", "GET", mock("x"))]);
    let own = |path: &str| format!("/_aws/execute-api/api1/dev{path}");
    let methods = [
        ("/forward", "GET", proxy(room.address, &own("/forward"))),
        ("/there", "POST", proxy(room.address, &own("/back"))),
        ("/back", "POST", proxy(room.address, &own("/there"))),
        ("/ok", "GET", mock("fine")),
    ];
    room.handle.publish(Arc::new(snapshot(2, &methods)));
    for (head, body) in [("GET /dev/forward", ""), ("POST /dev/there\nContent-Length: 2", "hi")] {
        let answer = room.ask(head, body);
        assert_eq!(answer.status(), 508, "{head}: {answer:?}");
        assert_eq!(answer.body(), r#"{"message":"The integration calls the API that calls it"}"#, "{head}");
    }
    assert_eq!(room.ask("GET /dev/ok", "").status(), 200);
}

#[test]
fn only_requests_from_a_gateway_are_counted() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    let room = Room::serve(&[("/up", "GET", proxy(upstream.address, "/"))]);
    let trace = "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793";
    for (headers, counted) in [
        (trace.to_owned(), None),
        ("x-amzn-apigateway-api-id: api0".to_owned(), None),
        (FROM_GATEWAY.to_owned(), Some(1)),
    ] {
        assert_eq!(room.ask(&format!("GET /dev/up\n{headers}"), "").status(), 200);
        let seen = upstream.seen();
        let line = seen.lines().map(lower_name).find(|line| line.starts_with("x-amzn-trace-id: ")).unwrap();
        let count = line.split_once(";Lineage=").and_then(|(_, lineage)| lineage.split_once(':'));
        assert_eq!(count.map(|(_, count)| count.parse().unwrap()), counted, "{headers}: {line}");
        assert!(counted.is_none_or(|count: u32| count < LOOP_VISITS_MAX));
    }
}
