//! `$util`: escaping, encoding, JSON. Owns exactly API Gateway's six functions.

use crate::eval::{Interpreter, Outcome};
use crate::heap::Value;
use crate::{RenderError, json};
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use std::fmt::Write as _;

/// Padding is written and not required.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Interpreter<'_> {
    pub(crate) fn function(&mut self, name: &str, args: &[Value]) -> Outcome<Value> {
        let [arg] = args else { return Ok(Value::Null) };
        let known = matches!(
            name,
            "escapeJavaScript" | "parseJson" | "urlEncode" | "urlDecode" | "base64Encode" | "base64Decode"
        );
        if !known {
            return Ok(Value::Null);
        }
        let text = self.print_text(arg)?;
        // The longest expansion is six bytes for one.
        self.charge(text.len().saturating_mul(6))?;
        Ok(match name {
            "escapeJavaScript" => self.text(escape_javascript(&text))?,
            "parseJson" => json::parse(&mut self.heap, &text)?,
            "urlEncode" => self.text(url_encode(&text))?,
            "urlDecode" => self.text(url_decode(&text)?)?,
            "base64Encode" => self.text(STANDARD.encode(text.as_bytes()))?,
            _ => {
                let bytes =
                    LENIENT.decode(text.as_bytes()).map_err(|_| RenderError::Method(name.to_owned()))?;
                self.text(String::from_utf8_lossy(&bytes).into_owned())?
            }
        })
    }
}

/// Quotes, slashes and everything outside ASCII, as commons-lang 2.6 escapes them.
fn escape_javascript(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for unit in text.encode_utf16() {
        match u8::try_from(unit).map(char::from) {
            Ok('\u{8}') => out.push_str("\\b"),
            Ok('\n') => out.push_str("\\n"),
            Ok('\t') => out.push_str("\\t"),
            Ok('\u{c}') => out.push_str("\\f"),
            Ok('\r') => out.push_str("\\r"),
            Ok(c @ ('\'' | '"' | '\\' | '/')) => {
                out.push('\\');
                out.push(c);
            }
            Ok(c @ ' '..='\u{7f}') => out.push(c),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04X}");
            }
        }
    }
    out
}

/// `application/x-www-form-urlencoded`, as `java.net.URLEncoder` writes it.
fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn url_decode(text: &str) -> Result<String, RenderError> {
    let plus = text.replace('+', " ");
    let mut rest = plus.as_bytes();
    // java.net.URLDecoder refuses an incomplete escape.
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let digits = rest.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if digits.is_none() {
            return Err(RenderError::Method("urlDecode".to_owned()));
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    Ok(percent_encoding::percent_decode_str(&plus).decode_utf8_lossy().into_owned())
}
