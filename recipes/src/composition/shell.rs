//! Maintainer scripts as the plain commands in them, with what can be known of variables and loops without running anything.
//!
//! Not a shell: conditions are ignored (both branches count), functions are not entered, and a word that depends on
//! anything but literal assignments is unreadable. That suffices to see what a script would add to a fresh system.

use std::collections::BTreeMap;

/// Values of one loop variable beyond this are not followed.
const MAX_VALUES: usize = 64;
/// A script is read at most to this many commands, loops counted out.
const MAX_COMMANDS: usize = 10_000;
/// Loops inside loops beyond this are not followed.
const MAX_DEPTH: usize = 4;

/// A word of a command; `None` where it cannot be known.
pub(super) type Word = Option<String>;

/// Calls `visit` for each simple command of a script.
pub(super) fn commands(script: &str, visit: &mut dyn FnMut(&[Word])) {
    let parsed = split(script);
    let mut reader = Reader {
        variables: BTreeMap::new(),
        left: MAX_COMMANDS,
    };
    reader.run(&parsed, 0, visit);
}

/// A word as it was written: literal pieces and names of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
    Unknown,
}

type RawWord = Vec<Piece>;

struct Reader {
    variables: BTreeMap<String, Word>,
    left: usize,
}

impl Reader {
    fn run(&mut self, commands: &[Vec<RawWord>], depth: usize, visit: &mut dyn FnMut(&[Word])) {
        let mut at = 0;
        while let Some(command) = commands.get(at) {
            at += 1;
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            let words = self.expand(command);
            match words.first().and_then(|word| word.as_deref()) {
                Some("for")
                    if words
                        .get(2)
                        .is_some_and(|word| word.as_deref() == Some("in")) =>
                {
                    let end = end_of_loop(commands, at);
                    let body = commands.get(at..end).unwrap_or_default();
                    if let (Some(Some(name)), true) = (words.get(1), depth < MAX_DEPTH) {
                        for value in words.iter().skip(3).take(MAX_VALUES) {
                            self.variables.insert(name.clone(), value.clone());
                            self.run(body, depth + 1, visit);
                        }
                    }
                    at = end;
                }
                Some(first) if words.len() == 1 && is_assignment(command) => {
                    let (name, value) = first.split_once('=').unwrap_or((first, ""));
                    self.variables
                        .insert(name.to_owned(), Some(value.to_owned()));
                }
                None if words.len() == 1 && is_assignment(command) => {
                    if let Some(Piece::Text(text)) = command.first().and_then(|word| word.first()) {
                        let name = text.split('=').next().unwrap_or_default();
                        // A value that is known from another branch is the better guess.
                        self.variables.entry(name.to_owned()).or_insert(None);
                    }
                }
                Some(_) => visit(&words),
                None => {}
            }
        }
    }

    /// Puts values in the place of variables. A word that is a variable alone is split at blanks, as unquoted ones are.
    fn expand(&self, command: &[RawWord]) -> Vec<Word> {
        let mut words = Vec::with_capacity(command.len());
        for raw in command {
            if let [Piece::Variable(name)] = raw.as_slice() {
                match self.variables.get(name).cloned().flatten() {
                    Some(value) => {
                        words.extend(value.split_whitespace().map(|part| Some(part.to_owned())));
                    }
                    None => words.push(None),
                }
                continue;
            }
            let mut text = String::new();
            let mut known = true;
            for piece in raw {
                match piece {
                    Piece::Text(part) => text.push_str(part),
                    Piece::Variable(name) => match self.variables.get(name).cloned().flatten() {
                        Some(value) => text.push_str(&value),
                        None => known = false,
                    },
                    Piece::Unknown => known = false,
                }
            }
            words.push(known.then_some(text));
        }
        words
    }
}

fn is_assignment(command: &[RawWord]) -> bool {
    let [word] = command else {
        return false;
    };
    matches!(word.first(), Some(Piece::Text(text)) if text.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }))
}

/// Returns the index of the `done` that belongs to a loop whose body begins at `start`.
fn end_of_loop(commands: &[Vec<RawWord>], start: usize) -> usize {
    let mut open = 1;
    for (index, command) in commands.iter().enumerate().skip(start) {
        match command.first().map(Vec::as_slice) {
            Some([Piece::Text(word)]) if matches!(word.as_str(), "for" | "while" | "until") => {
                open += 1;
            }
            Some([Piece::Text(word)]) if word == "done" => open -= 1,
            _ => {}
        }
        if open == 0 {
            return index;
        }
    }
    commands.len()
}

/// Words that only stand before a command.
const PREFIXES: [&str; 10] = [
    "if", "then", "elif", "else", "do", "while", "until", "!", "{", "(",
];

/// Splits a script into commands, without comments, here-documents counted as commands, and without what only begins one.
fn split(script: &str) -> Vec<Vec<RawWord>> {
    let mut commands = Vec::new();
    let mut words: Vec<RawWord> = Vec::new();
    let mut lexer = Lexer {
        chars: script.chars().collect(),
        at: 0,
    };
    loop {
        match lexer.next() {
            Token::Word(word) => {
                if let [Piece::Text(text)] = word.as_slice()
                    && words.is_empty()
                    && (PREFIXES.contains(&text.as_str())
                        || (text.ends_with(')') && !text.contains('(')))
                {
                    // A loop keeps its first word: its end has to be found.
                    if matches!(text.as_str(), "while" | "until") {
                        commands.push(vec![word]);
                    }
                    continue;
                }
                words.push(word);
            }
            Token::End | Token::Finished if words.is_empty() => {}
            Token::End | Token::Finished => commands.push(std::mem::take(&mut words)),
        }
        if lexer.at >= lexer.chars.len() && words.is_empty() {
            return commands;
        }
    }
}

enum Token {
    Word(RawWord),
    End,
    Finished,
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Token {
        loop {
            match self.peek() {
                None => return Token::Finished,
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\\') if self.chars.get(self.at + 1) == Some(&'\n') => self.at += 2,
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                Some('\n' | ';' | '&' | '|') => {
                    self.at += 1;
                    return Token::End;
                }
                Some(_) => return Token::Word(self.word()),
            }
        }
    }

    fn word(&mut self) -> RawWord {
        let mut pieces = Vec::new();
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' => break,
                '\\' => {
                    if self.chars.get(self.at + 1) == Some(&'\n') {
                        break;
                    }
                    text.extend(self.chars.get(self.at + 1));
                    self.at += 2;
                }
                '\'' => {
                    self.at += 1;
                    while let Some(c) = self.peek().filter(|c| *c != '\'') {
                        text.push(c);
                        self.at += 1;
                    }
                    self.at += 1;
                }
                '"' => {
                    self.at += 1;
                    self.quoted(&mut pieces, &mut text);
                }
                '$' | '`' => self.substitution(&mut pieces, &mut text),
                c => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        push_text(&mut pieces, &mut text);
        if pieces.is_empty() {
            pieces.push(Piece::Text(String::new()));
        }
        pieces
    }

    fn quoted(&mut self, pieces: &mut RawWord, text: &mut String) {
        // What is quoted is never split, so it is more than a variable alone.
        if text.is_empty() && pieces.is_empty() {
            pieces.push(Piece::Text(String::new()));
        }
        while let Some(c) = self.peek() {
            match c {
                '"' => break,
                '\\' => {
                    text.extend(self.chars.get(self.at + 1));
                    self.at += 2;
                }
                '$' | '`' => self.substitution(pieces, text),
                c => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
    }

    /// Reads `$x`, `${x}`, and with unknown result `$(…)`, `` `…` `` and everything else behind a dollar sign.
    fn substitution(&mut self, pieces: &mut RawWord, text: &mut String) {
        push_text(pieces, text);
        if self.peek() == Some('`') {
            self.at += 1;
            while self.peek().is_some_and(|c| c != '`') {
                self.at += 1;
            }
            self.at += 1;
            pieces.push(Piece::Unknown);
            return;
        }
        self.at += 1;
        let close = match self.peek() {
            Some('(') => Some(('(', ')')),
            Some('{') => Some(('{', '}')),
            _ => None,
        };
        let name = match close {
            Some((open, end)) => self.enclosed(open, end),
            None => {
                let mut name = String::new();
                while let Some(c) = self
                    .peek()
                    .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
                {
                    name.push(c);
                    self.at += 1;
                }
                name
            }
        };
        let plain =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let is_variable = plain && close.is_none_or(|(open, _)| open == '{');
        pieces.push(if is_variable {
            Piece::Variable(name)
        } else {
            Piece::Unknown
        });
    }

    fn enclosed(&mut self, open: char, end: char) -> String {
        let mut depth = 0;
        let mut inner = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            if c == open {
                depth += 1;
                if depth == 1 {
                    continue;
                }
            } else if c == end {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            inner.push(c);
        }
        inner
    }
}

fn push_text(pieces: &mut RawWord, text: &mut String) {
    if !text.is_empty() {
        pieces.push(Piece::Text(std::mem::take(text)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(script: &str) -> Vec<String> {
        let mut found = Vec::new();
        commands(script, &mut |words| {
            let words: Vec<&str> = words
                .iter()
                .map(|word| word.as_deref().unwrap_or("?"))
                .collect();
            found.push(words.join(" "));
        });
        found
    }

    #[test]
    fn commands_are_found_behind_conditions_and_over_lines() {
        let script = "#!/bin/sh\nset -e # x\nif [ \"$1\" = configure ]; then\n  adduser --system \\\n   --home /x 'a b' \"c\" || true\nfi\ncase \"$1\" in\n configure) mkdir -p /y ;;\nesac\n";
        let found = all(script);
        assert!(
            found.contains(&"adduser --system --home /x a b c".to_owned()),
            "{found:?}"
        );
        assert!(found.contains(&"mkdir -p /y".to_owned()), "{found:?}");
    }

    #[test]
    fn literal_variables_and_loops_are_followed_and_others_are_unknown() {
        let script = "base=/usr/lib/x\ntools='a b'\nfor i in $tools c; do\n  [ -e $base ] && do_it /usr/bin/$i ${base}/bin/$i \"$2\" $(date) `id`\ndone\nlater $i";
        assert_eq!(
            all(script),
            [
                "[ -e /usr/lib/x ]",
                "do_it /usr/bin/a /usr/lib/x/bin/a ? ? ?",
                "[ -e /usr/lib/x ]",
                "do_it /usr/bin/b /usr/lib/x/bin/b ? ? ?",
                "[ -e /usr/lib/x ]",
                "do_it /usr/bin/c /usr/lib/x/bin/c ? ? ?",
                "done",
                "later c",
            ]
        );
    }

    #[test]
    fn what_cannot_be_known_does_not_hide_what_is() {
        assert_eq!(
            all("p=1\nif x; then p=$(expr $p - 1); fi\nuse $p $q"),
            ["x", "fi", "use 1 ?"]
        );
    }

    #[test]
    fn a_bomb_of_loops_ends() {
        let many = "x ".repeat(100);
        let script = format!(
            "for a in {many}; do for b in {many}; do for c in {many}; do y; done; done; done"
        );
        assert!(all(&script).len() <= MAX_COMMANDS);
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "[a-z $`'\"(){};&|\\\\\n#=]{0,80}") {
            all(&text);
        }
    }
}
