//! An answer of the pipeline on a connection of the short line. Owns its framing (RFC 9112 §6); must never touch what is in it.

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use std::{io::Write, rc::Rc};
use tidegate_gateway::write_status_line;
use tidegate_listener::{Body, Connection, Protocol, Scheme, direct::Stream};

use super::{Next, Talk};
use crate::{pipeline, respond::Outgoing};

impl<S: Stream> Talk<S> {
    /// Has the pipeline answer, and passes the answer on.
    pub(super) async fn fetch(&mut self, request: http::Request<Body>) -> Next {
        let close = self.errand.as_ref().is_none_or(|errand| errand.close);
        // The pipeline meters and logs what it answers.
        if let Some(errand) = self.errand.as_mut() {
            errand.view = None;
        }
        let is_head = request.method() == Method::HEAD;
        let connection = Connection {
            id: self.line.id,
            peer: self.line.peer,
            local: self.line.local,
            protocol: Protocol::Http1,
            scheme: if self.line.is_encrypted { Scheme::Https } else { Scheme::Http },
        };
        // Whatever the pipeline waits for has a bound of its own.
        self.line.alarm.clear();
        let response = pipeline::serve(Rc::clone(&self.shard), request, connection).await;
        let close = close || self.line.alarm.is_draining() || asks_to_close(&response);
        if let Some(errand) = self.errand.as_mut() {
            errand.close = close;
        }
        let is_whole = self.pass_response_on(response, is_head, close).await.is_ok();
        self.finish(0, is_whole)
    }

    async fn pass_response_on(
        &mut self,
        response: Response<Outgoing>,
        is_head: bool,
        close: bool,
    ) -> std::io::Result<()> {
        let (head, mut body) = response.into_parts();
        let mut out = self.line.desk.buffers.output();
        write_status_line(head.status.as_u16(), &mut out);
        for (name, value) in &head.headers {
            if name == header::CONNECTION || name == header::TRANSFER_ENCODING {
                continue;
            }
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if !head.headers.contains_key(header::DATE) {
            out.extend_from_slice(b"Date: ");
            out.extend_from_slice(&*self.shard.date.borrow());
            out.extend_from_slice(b"\r\n");
        }
        let has_body = !matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let is_chunked = has_body && !is_head && body.size_hint().exact().is_none();
        if is_chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        } else if has_body
            && let Some(length) = body.size_hint().exact()
            && !(is_head || head.headers.contains_key(header::CONTENT_LENGTH))
        {
            super::decide::push_length(length, &mut out);
        }
        if close {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        let mut sent = Ok(());
        while sent.is_ok() && !is_head {
            let Some(frame) = body.frame().await else { break };
            let Ok(data) = frame.map(|frame| frame.into_data().unwrap_or_default()) else {
                sent = Err(std::io::ErrorKind::UnexpectedEof.into());
                break;
            };
            if data.is_empty() {
                continue;
            }
            if is_chunked {
                let _ = write!(out, "{:x}\r\n", data.len());
            }
            sent = self.send(&out, &data).await.map(drop);
            out.clear();
            if is_chunked {
                out.extend_from_slice(b"\r\n");
            }
        }
        if is_chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        if sent.is_ok() && !out.is_empty() {
            sent = self.send(&out, &Bytes::new()).await.map(drop);
        }
        self.line.desk.buffers.recycle(out);
        sent
    }
}

/// Whether the answer ends the connection.
fn asks_to_close(response: &Response<Outgoing>) -> bool {
    let connection = response.headers().get(header::CONNECTION);
    connection.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}
