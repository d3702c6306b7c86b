//! Bounds on the shape of a text, before the parser sees it.
//!
//! Parsing and compiling recurse as deep as expressions nest. The thread that does so has a large stack; this keeps any
//! text within it, by counting what can nest: brackets, operators in a row, branches.

use super::error::Limit;
use super::place::string_length;

/// How deep brackets may nest.
const MAX_BRACKETS: usize = 200;

/// How many operators, dots, calls and keywords one element (what stands between commas, at one bracket depth) may have.
const MAX_OPERATORS: usize = 2_000;

/// How many branches (`elif`) one file may have.
const MAX_BRANCHES: usize = 1_000;

/// How deep lines may be indented.
const MAX_INDENT: usize = 400;

/// What was seen on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// The last bracket that is never closed, with its offset.
    pub(super) unclosed: Option<(char, usize)>,
}

/// Returns the bound that `text` breaks, with the offset where it does.
pub(super) fn check(text: &str) -> Result<Shape, (Limit, usize)> {
    let bytes = text.as_bytes();
    // One counter of operators for each open bracket; the last is the current one.
    let mut operators = vec![0usize];
    let mut open: Vec<(char, usize)> = Vec::new();
    let mut branches = 0;
    let mut at = 0;
    let mut line_start = true;
    while let Some(&byte) = bytes.get(at) {
        if std::mem::take(&mut line_start) && operators.len() == 1 {
            let indent = bytes.iter().skip(at).take_while(|b| **b == b' ').count();
            if indent > MAX_INDENT {
                return Err((Limit::Nesting(MAX_INDENT), at));
            }
        }
        let mut length = 1;
        match byte {
            b'#' => length = bytes.iter().skip(at).take_while(|b| **b != b'\n').count(),
            b'"' | b'\'' => length = string_length(bytes.get(at..).unwrap_or_default()),
            b'\n' => {
                line_start = true;
                if operators.len() == 1 {
                    operators[0] = 0;
                }
            }
            b'(' | b'[' | b'{' => {
                count(&mut operators, at)?;
                operators.push(0);
                open.push((char::from(byte), at));
                if operators.len() > MAX_BRACKETS {
                    return Err((Limit::Nesting(MAX_BRACKETS), at));
                }
            }
            b')' | b']' | b'}' if operators.len() > 1 => {
                operators.pop();
                open.pop();
            }
            b',' => {
                if let Some(current) = operators.last_mut() {
                    *current = 0;
                }
            }
            _ if byte.is_ascii_alphanumeric() || byte == b'_' => {
                length = bytes
                    .iter()
                    .skip(at)
                    .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
                    .count();
                match bytes.get(at..at + length) {
                    Some(b"elif") => branches += 1,
                    Some(
                        b"and" | b"or" | b"not" | b"in" | b"if" | b"else" | b"for" | b"lambda",
                    ) => {
                        count(&mut operators, at)?;
                    }
                    _ => {}
                }
                if branches > MAX_BRANCHES {
                    return Err((Limit::Nesting(MAX_BRANCHES), at));
                }
            }
            _ if byte.is_ascii_punctuation() => count(&mut operators, at)?,
            _ => {}
        }
        at += length.max(1);
    }
    Ok(Shape {
        unclosed: open.last().copied(),
    })
}

fn count(operators: &mut [usize], at: usize) -> Result<(), (Limit, usize)> {
    if let Some(current) = operators.last_mut() {
        *current += 1;
        if *current > MAX_OPERATORS {
            return Err((Limit::Nesting(MAX_OPERATORS), at));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Shape, check};

    #[test]
    fn ordinary_text_passes() {
        let list: String = (0..10_000)
            .map(|i| format!("    fetch(urls = [\"https://a/{i}\"]),\n"))
            .collect();
        let passed = Ok(Shape { unclosed: None });
        assert_eq!(check(&format!("x = [\n{list}]\n")), passed);
        assert_eq!(check("x = \"((((((\" # ((((\n"), passed);
        assert_eq!(
            check("f(\n[1]"),
            Ok(Shape {
                unclosed: Some(('(', 1))
            })
        );
    }

    #[test]
    fn nesting_bomb_is_refused_in_each_of_its_forms() {
        for bomb in [
            "(".repeat(100_000),
            format!("x = {}1", "-".repeat(100_000)),
            format!("x = {}1", "not ".repeat(100_000)),
            format!("x = 1{}", " + 1".repeat(100_000)),
            format!("x = a{}", ".b".repeat(100_000)),
            format!("x = a{}", "()".repeat(100_000)),
            format!("x = {}1", "lambda: ".repeat(100_000)),
            format!("x = (1{})", "\n + 1".repeat(100_000)),
            format!("if a:\n  pass\n{}", "elif a:\n  pass\n".repeat(10_000)),
            (0..1000)
                .map(|depth| format!("{}if a:\n", " ".repeat(depth)))
                .collect(),
        ] {
            assert!(
                check(&bomb).is_err(),
                "{}",
                bomb.chars().take(40).collect::<String>()
            );
        }
    }
}
