//! Environment markers: `sys_platform == "win32" and python_version < "3.9"` (PyPA, "Dependency specifiers").

use std::cmp::Ordering;

/// What an environment marker is compared with: CPython of one version on Linux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lang) struct Target {
    /// The version of Python, `3.11.2`.
    pub(in crate::lang) python: String,
    /// The machine as Linux calls it, `x86_64`.
    pub(in crate::lang) machine: &'static str,
}

impl Target {
    /// The minor version of Python 3.
    pub(super) fn minor(&self) -> u32 {
        let minor = self.python.split('.').nth(1).unwrap_or_default();
        minor.parse().unwrap_or_default()
    }

    fn value(&self, variable: &str) -> Option<String> {
        let text = match variable {
            "os_name" => "posix",
            "sys_platform" => "linux",
            "platform_system" => "Linux",
            "platform_machine" => self.machine,
            "platform_python_implementation" => "CPython",
            "implementation_name" => "cpython",
            "python_version" => return Some(format!("3.{}", self.minor())),
            "python_full_version" | "implementation_version" => &self.python,
            // What is not known of the machine that will run it; an extra nobody asked for.
            "platform_release" | "platform_version" | "extra" | "extras" | "dependency_groups" => {
                ""
            }
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Whether the marker holds; `Err` has what cannot be understood of it.
    pub(super) fn holds(&self, marker: &str) -> Result<bool, String> {
        let mut parser = Parser {
            tokens: tokens(marker)?,
            next: 0,
            target: self,
        };
        let holds = parser.either()?;
        match parser.peek() {
            None => Ok(holds),
            Some(token) => Err(format!("{token:?} is not expected")),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Operator(String),
    Open,
    Close,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '"' | '\'' => {
                let inside = rest.get(1..).unwrap_or_default();
                let end = inside.find(first).ok_or("a text has no end")?;
                let inside = inside.get(..end).unwrap_or_default();
                (Token::Text(inside.to_owned()), end + 2)
            }
            '<' | '>' | '=' | '!' | '~' => {
                let end = rest.find(|c: char| !"<>=!~".contains(c));
                let operator = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                (Token::Operator(operator.to_owned()), operator.len())
            }
            c if c.is_ascii_alphabetic() => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c)));
                let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                (Token::Word(word.to_owned()), word.len())
            }
            other => return Err(format!("{other:?} is not expected")),
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: Vec<Token>,
    next: usize,
    target: &'a Target,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.next += 1;
        token
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.next += usize::from(is);
        is
    }

    fn either(&mut self) -> Result<bool, String> {
        let mut holds = self.both()?;
        while self.take_word("or") {
            holds |= self.both()?;
        }
        Ok(holds)
    }

    fn both(&mut self) -> Result<bool, String> {
        let mut holds = self.one()?;
        while self.take_word("and") {
            holds &= self.one()?;
        }
        Ok(holds)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.peek() == Some(&Token::Open) {
            self.next += 1;
            // Each parenthesis is a call: a text of nothing but these ends here.
            if self.next > 200 {
                return Err("it is too long".to_owned());
            }
            let holds = self.either()?;
            return match self.take() {
                Some(Token::Close) => Ok(holds),
                _ => Err("a parenthesis is not closed".to_owned()),
            };
        }
        let (left, left_is_version) = self.operand()?;
        let operator = match self.take() {
            Some(Token::Operator(operator)) => operator,
            Some(Token::Word(word)) if word == "in" => word,
            Some(Token::Word(word)) if word == "not" && self.take_word("in") => "not in".to_owned(),
            _ => return Err("an operator is missing".to_owned()),
        };
        let (right, right_is_version) = self.operand()?;
        compare(
            &left,
            &operator,
            &right,
            left_is_version || right_is_version,
        )
    }

    /// A value, and whether it is that of a version.
    fn operand(&mut self) -> Result<(String, bool), String> {
        match self.take() {
            Some(Token::Text(text)) => Ok((text, false)),
            Some(Token::Word(word)) => {
                let value = self.target.value(&word);
                let value = value.ok_or_else(|| format!("`{word}` is no variable"))?;
                let is_version = word.starts_with("python_") || word == "implementation_version";
                Ok((value, is_version))
            }
            _ => Err("a value is missing".to_owned()),
        }
    }
}

fn compare(left: &str, operator: &str, right: &str, versions: bool) -> Result<bool, String> {
    if versions && !matches!(operator, "in" | "not in" | "===") {
        return matches_version(left, operator, right);
    }
    Ok(match operator {
        "==" | "===" => left == right,
        "!=" => left != right,
        "in" => right.contains(left),
        "not in" => !right.contains(left),
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        _ => return Err(format!("`{operator}` does not compare texts")),
    })
}

/// Compares release versions of Python: numbers with dots, and `*` at the end for `==` and `!=`.
pub(super) fn matches_version(left: &str, operator: &str, right: &str) -> Result<bool, String> {
    if let Some(prefix) = right.strip_suffix(".*") {
        let starts = release(left).starts_with(&release(prefix));
        return match operator {
            "==" => Ok(starts),
            "!=" => Ok(!starts),
            _ => Err(format!("`{operator}` does not go with `*`")),
        };
    }
    let order = order(&release(left), &release(right));
    Ok(match operator {
        "==" => order == Ordering::Equal,
        "!=" => order != Ordering::Equal,
        "<" => order == Ordering::Less,
        "<=" => order != Ordering::Greater,
        ">" => order == Ordering::Greater,
        ">=" => order != Ordering::Less,
        "~=" => {
            let mut prefix = release(right);
            prefix.pop();
            order != Ordering::Less && release(left).starts_with(&prefix)
        }
        _ => return Err(format!("`{operator}` is no operator")),
    })
}

/// The numbers of a version, as far as they go.
fn release(version: &str) -> Vec<u64> {
    let number = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_digit());
        part.get(..end.unwrap_or(part.len()))?.parse().ok()
    };
    version.trim().split('.').map_while(number).collect()
}

/// `3.9` and `3.9.0` are equal.
fn order(left: &[u64], right: &[u64]) -> Ordering {
    let length = left.len().max(right.len());
    let padded = |list: &[u64], index: usize| list.get(index).copied().unwrap_or(0);
    (0..length)
        .map(|index| padded(left, index).cmp(&padded(right, index)))
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(marker: &str) -> Result<bool, String> {
        let target = Target {
            python: "3.11.2".to_owned(),
            machine: "x86_64",
        };
        target.holds(marker)
    }

    #[test]
    fn markers_are_compared_with_the_platform() {
        for (marker, expected) in [
            ("sys_platform == 'win32'", false),
            (
                "sys_platform != \"win32\" and python_version >= '3.9'",
                true,
            ),
            ("python_version < '3.9' or platform_system == 'Linux'", true),
            ("python_full_version < '3.11.3'", true),
            (
                "python_version == '3.*' and (os_name == 'nt' or os_name == 'posix')",
                true,
            ),
            ("python_version ~= '3.8'", true),
            ("python_version in '3.10 3.11'", true),
            ("platform_machine not in 'x86_64 arm64'", false),
            ("extra == 'test'", false),
            ("'3.10' <= python_version", true),
            (
                "implementation_name == 'cpython' and platform_python_implementation != 'PyPy'",
                true,
            ),
        ] {
            assert_eq!(holds(marker), Ok(expected), "{marker}");
        }
    }

    #[test]
    fn what_is_no_marker_is_an_error() {
        for marker in [
            "",
            "sys_platform",
            "a == 'b'",
            "'a' == 'b",
            "(os_name == 'x'",
            "os_name ~= 'x'",
            "os_name == 'x' )",
        ] {
            assert!(holds(marker).is_err(), "{marker}");
        }
        assert!(holds(&"(".repeat(100_000)).is_err());
    }
}
