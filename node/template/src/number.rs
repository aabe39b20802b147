//! Arithmetic and comparison as Velocity does them on Java's numbers. Owns widening, truncation and the printing of doubles.

use crate::ast::Operator;
use crate::heap::Value;
use std::cmp::Ordering;

/// True for every numeric value.
pub(crate) fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Long(_) | Value::Big(_) | Value::Double(_) | Value::Decimal(_))
}

/// An arithmetic result; [`Value::Null`] when there is none (no numbers, division by zero).
pub(crate) fn arithmetic(operator: Operator, left: &Value, right: &Value) -> Value {
    if !is_number(left) || !is_number(right) {
        return Value::Null;
    }
    match (whole(left), whole(right)) {
        (Some(a), Some(b)) => {
            let result = match operator {
                Operator::Add => a.checked_add(b),
                Operator::Subtract => a.checked_sub(b),
                Operator::Multiply => a.checked_mul(b),
                Operator::Divide => a.checked_div(b),
                Operator::Modulus => a.checked_rem(b),
                _ => None,
            };
            result.map_or(Value::Null, |result| narrowest(result, left, right))
        }
        _ => {
            let (a, b) = (float(left), float(right));
            match operator {
                Operator::Add => Value::Double(a + b),
                Operator::Subtract => Value::Double(a - b),
                Operator::Multiply => Value::Double(a * b),
                Operator::Divide if b != 0.0 => Value::Double(a / b),
                Operator::Modulus if b != 0.0 => Value::Double(a % b),
                _ => Value::Null,
            }
        }
    }
}

/// Order of two numbers; `None` when one is no number or not comparable.
pub(crate) fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    if !is_number(left) || !is_number(right) {
        return None;
    }
    match (whole(left), whole(right)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => float(left).partial_cmp(&float(right)),
    }
}

/// An integer literal or JSON integer in the smallest Java type.
pub(crate) fn parse_integer(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(value) => Value::integer(value),
        Err(_) => {
            let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
            let digits = digits.trim_start_matches('0');
            Value::Big(format!("{sign}{}", if digits.is_empty() { "0" } else { digits }).into())
        }
    }
}

/// `Double.toString`: decimal between 1e-3 and 1e7, otherwise with an exponent.
pub(crate) fn print_double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{point}E{exponent}")
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Int(i) => Some(i128::from(*i)),
        Value::Long(l) => Some(i128::from(*l)),
        Value::Big(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Double(d) => *d,
        Value::Decimal(digits) | Value::Big(digits) => digits.parse().unwrap_or(f64::NAN),
        // Rounding to the nearest double is what Java's doubleValue does.
        _ => whole(value).map_or(f64::NAN, |i| i as f64),
    }
}

/// Java keeps the wider operand's type and widens only on overflow.
fn narrowest(result: i128, left: &Value, right: &Value) -> Value {
    let big = matches!(left, Value::Big(_)) || matches!(right, Value::Big(_));
    let long = matches!(left, Value::Long(_)) || matches!(right, Value::Long(_));
    match i64::try_from(result) {
        Ok(value) if !big => match i32::try_from(value) {
            Ok(small) if !long => Value::Int(small),
            _ => Value::Long(value),
        },
        _ => Value::Big(result.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_like_java() {
        for (value, text) in [
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (1e7, "1.0E7"),
            (1.25e10, "1.25E10"),
            (0.001, "0.001"),
            (1e-4, "1.0E-4"),
            (123456.789, "123456.789"),
            (0.0, "0.0"),
        ] {
            assert_eq!(print_double(value), text);
        }
    }

    #[test]
    fn integers_truncate_and_widen() {
        let int = Value::Int;
        for (operator, a, b, expect) in [
            (Operator::Divide, int(7), int(2), "Int(3)"),
            (Operator::Divide, int(-7), int(2), "Int(-3)"),
            (Operator::Divide, int(7), int(0), "Null"),
            (Operator::Modulus, int(7), int(0), "Null"),
            (Operator::Add, int(i32::MAX), int(1), "Long(2147483648)"),
            (Operator::Add, Value::Long(1), int(1), "Long(2)"),
            (Operator::Multiply, Value::Long(i64::MAX), int(2), "Big(\"18446744073709551614\")"),
            (Operator::Divide, int(7), Value::Double(2.0), "Double(3.5)"),
            (Operator::Add, int(1), Value::Null, "Null"),
        ] {
            assert_eq!(format!("{:?}", arithmetic(operator, &a, &b)), expect);
        }
    }
}
