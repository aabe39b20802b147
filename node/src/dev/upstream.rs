//! The sample upstream that the sample API calls: a few pets, and an echo for everything else.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const PETS: [(&str, &str); 3] = [("Rex", "dog"), ("Tom", "cat"), ("Nemo", "fish")];

/// Accepts on `listener` until the task is dropped.
pub(crate) async fn serve(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer)),
        );
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = route(request.method().as_str(), request.uri().path(), &request);
    let response = Response::builder().status(status).header("content-type", "application/json");
    let body = Bytes::from(body.to_string());
    Ok(response.body(Full::new(body)).unwrap_or_default())
}

fn route(verb: &str, path: &str, request: &Request<Incoming>) -> (StatusCode, Value) {
    let pet = |(index, (name, kind)): (usize, &(&str, &str))| json!({ "id": index + 1, "name": name, "type": kind });
    let mut segments = path.trim_matches('/').split('/');
    match (verb, segments.next(), segments.next(), segments.next()) {
        ("GET", Some("pets"), None, _) => (StatusCode::OK, PETS.iter().enumerate().map(pet).collect()),
        ("GET", Some("pets"), Some(id), None) => {
            let index =
                id.parse::<usize>().ok().and_then(|id| id.checked_sub(1)).filter(|index| *index < PETS.len());
            match index {
                Some(index) => (StatusCode::OK, pet((index, &PETS[index]))),
                None => (StatusCode::NOT_FOUND, json!({ "message": format!("no pet {id}") })),
            }
        }
        _ => (StatusCode::OK, echo(request)),
    }
}

fn echo(request: &Request<Incoming>) -> Value {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: serde_json::Map<String, Value> =
        request.headers().iter().map(|(name, value)| (name.to_string(), json!(text(value)))).collect();
    let uri = request.uri();
    json!({ "method": request.method().as_str(), "path": uri.path(), "query": uri.query(), "headers": headers })
}
