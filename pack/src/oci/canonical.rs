//! Canonical JSON: the one byte form of a value.
//!
//! Keys are sorted bytewise, there is no white space, and numbers are integers. `serde_json`'s own map is not relied on for the order, because any crate
//! of the workspace can switch it to insertion order (feature `preserve_order`) and so would change digests.

use serde::Serialize;
use serde_json::Value;

/// Returns the canonical bytes of `value`, without a newline at the end.
///
/// # Panics
///
/// When `value` has a map whose keys are not strings, or a float. The types of this crate have neither.
pub fn to_canonical_json<T: Serialize>(value: &T) -> Vec<u8> {
    let value = serde_json::to_value(value).expect("types of this crate have only string keys");
    let mut out = String::new();
    write_value(&mut out, &value);
    out.into_bytes()
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => {
            assert!(!number.is_f64(), "a float has no canonical form");
            out.push_str(&number.to_string());
        }
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write_value(out, item);
            }
            out.push('}');
        }
    }
}

/// Writes a JSON string: `"` and `\` escaped, control characters as `\n`-like or `\u00xx`, everything else as it is.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                const DIGITS: [char; 16] = [
                    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
                ];
                let code = control as usize;
                out.push_str("\\u00");
                out.push(DIGITS[code >> 4]);
                out.push(DIGITS[code & 15]);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth_and_there_is_no_white_space() {
        let value = json!({"b": [{"z": 1, "a": null}], "B": true, "a": "x\"\\\u{1}\n"});
        assert_eq!(
            String::from_utf8_lossy(&to_canonical_json(&value)),
            r#"{"B":true,"a":"x\"\\\u0001\n","b":[{"a":null,"z":1}]}"#
        );
    }

    #[test]
    #[should_panic(expected = "a float has no canonical form")]
    fn a_float_is_refused() {
        to_canonical_json(&json!(1.5));
    }

    proptest! {
        #[test]
        fn any_map_of_strings_reads_back(map in any::<BTreeMap<String, String>>()) {
            let read: BTreeMap<String, String> = serde_json::from_slice(&to_canonical_json(&map)).unwrap();
            prop_assert_eq!(read, map);
        }
    }
}
