//! A joined policy as people read it: every value with the line that it is from.

use std::fmt::Write as _;

use super::{
    Action, Clarification, Entry, Exception, LicensePattern, LicenseRules, MissingFacts, Policy,
    Rule, Setting, Subject,
};

impl Policy {
    /// Returns what holds, in the manner of a policy file. What one file says it says with its lines; where several have rules for licenses, all of them have
    /// to let a license pass, and each is shown.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("# {}\n\n", self.name);
        setting(
            &mut text,
            "unlicensed",
            &self.unlicensed,
            &action(self.unlicensed.value),
        );
        setting(
            &mut text,
            "unknown",
            &self.unknown,
            &action(self.unknown.value),
        );
        let missing = match self.missing_facts.value {
            MissingFacts::Allow => "allow",
            MissingFacts::Warn => "warn",
            MissingFacts::Undecided => "undecided",
        };
        setting(
            &mut text,
            "missing-facts",
            &self.missing_facts,
            &quoted(missing),
        );
        setting(
            &mut text,
            "deprecated",
            &self.deprecated,
            &action(self.deprecated.value),
        );
        if let Some(sandbox) = &self.sandbox {
            setting(
                &mut text,
                "sandbox",
                sandbox,
                &quoted(sandbox.value.as_str()),
            );
        }
        for rules in &self.licenses {
            write_rules(&mut text, rules);
        }
        for exception in &self.exceptions {
            write_exception(&mut text, exception);
        }
        for clarification in &self.clarifications {
            write_clarification(&mut text, clarification);
        }
        text.push_str("\n[limits]\n");
        let days = |setting: &Setting<u32>| setting.value.to_string();
        setting(
            &mut text,
            "max-exception-days",
            &self.max_exception_days,
            &days(&self.max_exception_days),
        );
        setting(
            &mut text,
            "soon-days",
            &self.soon_days,
            &days(&self.soon_days),
        );
        text.push_str("\n[lints]\n");
        setting(
            &mut text,
            "unused-allow",
            &self.unused_allow,
            &action(self.unused_allow.value),
        );
        setting(
            &mut text,
            "unused-exception",
            &self.unused_exception,
            &action(self.unused_exception.value),
        );
        text
    }
}

fn write_rules(text: &mut String, rules: &LicenseRules) {
    let _ = writeln!(text, "\n[licenses]  # {}", rules.place);
    for (key, entries) in [("allow", &rules.allow), ("deny", &rules.deny)] {
        write_entries(text, key, entries);
    }
    if !rules.prefer.is_empty() {
        line(text, "choice.prefer", &patterns(&rules.prefer));
    }
    for rule in &rules.rules {
        write_rule(text, rule);
    }
}

fn write_entries(text: &mut String, key: &str, entries: &[Entry]) {
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(text, "{key} = [");
    for entry in entries {
        let _ = writeln!(
            text,
            "    {},  # {}",
            quoted(&entry.pattern.to_string()),
            entry.place
        );
    }
    text.push_str("]\n");
}

fn write_rule(text: &mut String, rule: &Rule) {
    let _ = writeln!(text, "\n[[licenses.rule]]  # {}", rule.place);
    line(text, "license", &patterns(&rule.license));
    if !rule.relation.is_empty() {
        line(text, "relation", &list(rule.relation.iter()));
    }
    if !rule.consumer.is_empty() {
        line(text, "consumer", &patterns(&rule.consumer));
    }
    line(text, "then", &action(rule.then));
    if !rule.require.is_empty() {
        line(
            text,
            "require",
            &list(rule.require.iter().map(|one| one.as_str())),
        );
    }
    if let Some(reason) = &rule.reason {
        line(text, "reason", &quoted(reason));
    }
}

fn write_exception(text: &mut String, exception: &Exception) {
    let _ = writeln!(text, "\n[[exception]]  # {}", exception.place);
    line(text, "component", &quoted(&exception.component.to_string()));
    if let Some(license) = &exception.license {
        line(text, "license", &quoted(&license.to_string()));
    }
    if !exception.relation.is_empty() {
        line(text, "relation", &list(exception.relation.iter()));
    }
    line(text, "reason", &quoted(&exception.reason));
    line(text, "owner", &quoted(&exception.owner));
    if let Some(ticket) = &exception.ticket {
        line(text, "ticket", &quoted(ticket));
    }
    line(text, "until", &exception.until.to_string());
}

fn write_clarification(text: &mut String, clarification: &Clarification) {
    let _ = writeln!(text, "\n[[clarify]]  # {}", clarification.place);
    let (key, subject) = match &clarification.subject {
        Subject::Notice(digest) => ("notice", format!("sha256:{digest}")),
        Subject::Component(pattern) => ("component", pattern.to_string()),
    };
    line(text, key, &quoted(&subject));
    match &clarification.expression {
        Some(expression) => line(text, "expression", &quoted(&expression.to_string())),
        None => line(text, "shipped", "false"),
    }
    line(text, "reason", &quoted(&clarification.reason));
    line(text, "owner", &quoted(&clarification.owner));
}

fn line(text: &mut String, key: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{key} = {value}");
}

fn setting<T>(text: &mut String, key: &str, setting: &Setting<T>, value: &str) {
    let _ = writeln!(text, "{key} = {value}  # {}", setting.place);
}

fn action(action: Action) -> String {
    let known = Action::WORDS.iter().find(|(_, one)| *one == action);
    quoted(known.map_or("", |(word, _)| word))
}

fn patterns(patterns: &[LicensePattern]) -> String {
    list(patterns.iter())
}

fn list(values: impl Iterator<Item = impl ToString>) -> String {
    let all: Vec<String> = values.map(|one| quoted(&one.to_string())).collect();
    format!("[{}]", all.join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::Layer;
    use super::*;

    #[test]
    fn what_is_printed_of_one_file_can_be_read_and_says_the_same() {
        let text = "unlicensed = 'warn'\nsandbox = 'full'\n[licenses]\nallow = ['MIT', 'GPL-* WITH *']\n\
            deny = ['category:restricted']\nchoice.prefer = ['MIT']\n\
            [[licenses.rule]]\nlicense = 'LGPL-*'\nrelation = ['static', 'vendored']\nconsumer = 'LGPL-*'\nthen = 'deny'\n\
            require = ['source']\nreason = 'say \"no\"'\n\
            [[exception]]\ncomponent = 'a@1.*'\nlicense = 'GPL-3.0-only'\nrelation = 'needed'\nreason = 'r'\nowner = 'o'\n\
            ticket = 'T-1'\nuntil = 2027-01-01\n\
            [[clarify]]\ncomponent = 'b'\nexpression = 'MIT'\nreason = 'r'\nowner = 'o'\n";
        let built_in = Layer::built_in().unwrap();
        let read = |text: &str| Policy::join(&[Layer::parse("p", text).unwrap()], &built_in);
        let printed = read(text).to_text();
        assert!(printed.contains("\"MIT\",  # p:4\n"), "{printed}");
        assert!(printed.contains("sandbox = \"full\"  # p:2\n"), "{printed}");
        // Only the lines differ.
        let without_places = |text: &str| {
            let lines = text
                .lines()
                .map(|line| line.split("  # ").next().unwrap_or_default());
            lines.collect::<Vec<_>>().join("\n")
        };
        assert_eq!(
            without_places(&read(&printed).to_text()),
            without_places(&printed)
        );
    }
}
