//! From TOML to a policy.

use toml::de::DeTable;

use super::{
    Action, Clarification, ComponentPattern, Entry, Exception, Grants, Layer, LicensePattern,
    LicenseRules, MissingFacts, Policy, PolicyError, Rule, SandboxLevel, Subject,
    pattern::PatternError,
    reader::{Fields, Found, Reader},
};
use crate::audit::{inventory::Relation, license::Expression};

/// The policy that holds where nobody has written one.
const DEFAULT: &str = include_str!("default.toml");
/// What that is called.
const DEFAULT_NAME: &str = "the built-in policy";
/// The table of a project's settings that has the policy.
const TABLE: &str = "audit";

impl Policy {
    /// Returns the text of the policy that holds where nobody has written one.
    #[must_use]
    pub const fn default_text() -> &'static str {
        DEFAULT
    }

    /// Returns the policy that holds where nobody has written one.
    pub fn built_in() -> Result<Self, PolicyError> {
        Ok(Self::join(&[], &Layer::built_in()?))
    }

    /// Reads the file of a policy that is the only one. `file` is its name in messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        Ok(Self::join(
            &[Layer::parse(file, text)?],
            &Layer::built_in()?,
        ))
    }
}

impl Layer {
    /// Returns what holds where nobody has written anything.
    pub fn built_in() -> Result<Self, PolicyError> {
        Self::parse(DEFAULT_NAME, DEFAULT)
    }

    /// Reads the file of a policy: the whole file, or its table `audit` where it has one. `file` is its name in messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let reader = Reader::new(file, text);
        let table = reader.parse()?;
        let root = reader.fields(&table, 1);
        match root.table(TABLE)? {
            Some(fields) => read(file, &fields),
            None => read(file, &root),
        }
    }

    /// Reads the table `audit` of a settings file; none where there is no such table.
    pub fn find(file: &str, text: &str) -> Result<Option<Self>, PolicyError> {
        let reader = Reader::new(file, text);
        let table: DeTable<'_> = reader.parse()?;
        let found = reader.fields(&table, 1).table(TABLE)?;
        found.map(|fields| read(file, &fields)).transpose()
    }
}

fn read(file: &str, fields: &Fields<'_, '_>) -> Result<Layer, PolicyError> {
    let two = &[("warn", Action::Warn), ("deny", Action::Deny)];
    let missing = &[
        ("allow", MissingFacts::Allow),
        ("warn", MissingFacts::Warn),
        ("undecided", MissingFacts::Undecided),
    ];
    if let Some(version) = fields.number("version")?.filter(|one| one.value != 1) {
        let problem = format!("a policy of version {} is not known, only 1", version.value);
        return Err(fields.value(version.place.line, &problem));
    }
    let mut layer = Layer {
        name: file.to_owned(),
        unlicensed: fields.word("unlicensed", two)?,
        unknown: fields.word("unknown", two)?,
        missing_facts: fields.word("missing-facts", missing)?,
        deprecated: fields.word("deprecated", &Action::WORDS)?,
        sandbox: fields.word("sandbox", SandboxLevel::words())?,
        ..Layer::default()
    };
    if let Some(limits) = fields.table("limits")? {
        layer.max_exception_days = limits.number("max-exception-days")?;
        layer.soon_days = limits.number("soon-days")?;
        limits.finish()?;
    }
    let lint = &[("allow", Action::Allow), ("warn", Action::Warn)];
    if let Some(lints) = fields.table("lints")? {
        layer.unused_allow = lints.word("unused-allow", lint)?;
        layer.unused_exception = lints.word("unused-exception", lint)?;
        lints.finish()?;
    }
    if let Some(grant) = fields.table("grant")? {
        layer.grants = Grants {
            exceptions: grant.boolean("exceptions")?.unwrap_or_default(),
            clarifications: grant.boolean("clarifications")?.unwrap_or_default(),
        };
        grant.finish()?;
    }
    let licenses = fields.table("licenses")?;
    layer.licenses = licenses.as_ref().map(read_licenses).transpose()?;
    let exceptions = fields.tables("exception")?;
    layer.exceptions = exceptions
        .iter()
        .map(read_exception)
        .collect::<Result<_, _>>()?;
    let clarifications = fields.tables("clarify")?;
    layer.clarifications = clarifications
        .iter()
        .map(read_clarification)
        .collect::<Result<_, _>>()?;
    // What is known of vulnerabilities is judged elsewhere, by the same file.
    fields.skip("vulnerabilities");
    fields.finish()?;
    Ok(layer)
}

fn read_licenses(fields: &Fields<'_, '_>) -> Result<LicenseRules, PolicyError> {
    let entries = |key| -> Result<Vec<Entry>, PolicyError> {
        let texts = fields.strings(key)?;
        texts
            .into_iter()
            .map(|found| {
                Ok(Entry {
                    place: fields.place(found.line),
                    pattern: pattern(fields, &found)?,
                })
            })
            .collect()
    };
    let (allow, deny) = (entries("allow")?, entries("deny")?);
    let mut prefer = Vec::new();
    if let Some(choice) = fields.table("choice")? {
        prefer = patterns(&choice, "prefer")?;
        choice.finish()?;
    }
    let rules = fields
        .tables("rule")?
        .iter()
        .map(read_rule)
        .collect::<Result<_, _>>()?;
    fields.finish()?;
    Ok(LicenseRules {
        layer: 0,
        place: fields.own_place(),
        is_whole: fields.has("allow"),
        allow,
        deny,
        prefer,
        rules,
    })
}

fn read_rule(fields: &Fields<'_, '_>) -> Result<Rule, PolicyError> {
    let license = patterns(fields, "license")?;
    let then = fields.word("then", &Action::WORDS)?.map(|one| one.value);
    let rule = Rule {
        relation: fields.parse_all("relation")?,
        consumer: patterns(fields, "consumer")?,
        require: fields.parse_all("require")?,
        reason: fields.string("reason")?.map(|found| found.value),
        place: fields.own_place(),
        then: then.ok_or_else(|| PolicyError::Missing {
            place: fields.own_place(),
            key: "then",
        })?,
        license,
    };
    fields.finish()?;
    if rule.license.is_empty() {
        return Err(PolicyError::Missing {
            place: rule.place,
            key: "license",
        });
    }
    Ok(rule)
}

fn read_exception(fields: &Fields<'_, '_>) -> Result<Exception, PolicyError> {
    let component = component(fields, &fields.required("component")?)?;
    let license = fields
        .string("license")?
        .map(|found| pattern(fields, &found))
        .transpose()?;
    let relation: Vec<Relation> = fields.parse_all("relation")?;
    let until = fields.day("until")?;
    let exception = Exception {
        component,
        license,
        relation,
        reason: fields.required("reason")?.value,
        owner: fields.required("owner")?.value,
        ticket: fields.string("ticket")?.map(|found| found.value),
        until: until
            .ok_or_else(|| PolicyError::Missing {
                place: fields.own_place(),
                key: "until",
            })?
            .value,
        place: fields.own_place(),
        reach: 0,
    };
    fields.finish()?;
    Ok(exception)
}

fn read_clarification(fields: &Fields<'_, '_>) -> Result<Clarification, PolicyError> {
    let (notice, named) = (fields.string("notice")?, fields.string("component")?);
    let subject = match (notice, named) {
        (Some(found), None) => {
            let digest = found.value.strip_prefix("sha256:").unwrap_or(&found.value);
            if digest.len() != 64
                || !digest
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            {
                return Err(fields.value(found.line, &"`notice` must be `sha256:` and 64 digits"));
            }
            Subject::Notice(digest.to_owned())
        }
        (None, Some(found)) => Subject::Component(component(fields, &found)?),
        (Some(found), Some(_)) => {
            return Err(fields.value(
                found.line,
                &"a clarification has either `notice` or `component`",
            ));
        }
        (None, None) => {
            return Err(PolicyError::Missing {
                place: fields.own_place(),
                key: "notice",
            });
        }
    };
    let expression = fields.string("expression")?;
    let shipped = fields.boolean("shipped")?.unwrap_or(true);
    let expression = match (expression, shipped) {
        (Some(found), true) => Some(Expression::parse(&found.value).map_err(|error| {
            fields.value(found.line, &with_meant(&error.to_string(), error.meant()))
        })?),
        (None, false) => None,
        (Some(found), false) => {
            return Err(fields.value(found.line, &"what is not shipped has no `expression`"));
        }
        (None, true) => {
            return Err(PolicyError::Missing {
                place: fields.own_place(),
                key: "expression",
            });
        }
    };
    if expression.is_none() && matches!(subject, Subject::Component(_)) {
        return Err(fields.value(
            fields.own_place().line,
            &"only a `notice` can be one that is not shipped",
        ));
    }
    let clarification = Clarification {
        subject,
        expression,
        reason: fields.required("reason")?.value,
        owner: fields.required("owner")?.value,
        place: fields.own_place(),
    };
    fields.finish()?;
    Ok(clarification)
}

fn component(
    fields: &Fields<'_, '_>,
    found: &Found<String>,
) -> Result<ComponentPattern, PolicyError> {
    ComponentPattern::parse(&found.value).map_err(|error| fields.value(found.line, &error))
}

fn patterns(
    fields: &Fields<'_, '_>,
    key: &'static str,
) -> Result<Vec<LicensePattern>, PolicyError> {
    fields
        .strings(key)?
        .iter()
        .map(|found| pattern(fields, found))
        .collect()
}

fn pattern(fields: &Fields<'_, '_>, found: &Found<String>) -> Result<LicensePattern, PolicyError> {
    LicensePattern::parse(&found.value).map_err(|error| {
        let meant = match &error {
            PatternError::NoLicense(_, meant) => meant.as_deref(),
            PatternError::Category(_) => None,
        };
        fields.value(found.line, &with_meant(&error.to_string(), meant))
    })
}

fn with_meant(problem: &str, meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!("{problem}; did you mean `{meant}`?"),
        None => problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        match Policy::parse("policy.toml", text) {
            Ok(policy) => panic!("{policy:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_built_in_policy_can_be_read() {
        let policy = Policy::built_in().unwrap();
        let counts = policy.licenses.iter();
        let counts: Vec<_> = counts
            .map(|rules| (rules.allow.len(), rules.rules.len()))
            .collect();
        assert_eq!(counts, [(10, 6)]);
        assert!(policy.exceptions.is_empty() && policy.clarifications.is_empty());
    }

    #[test]
    fn a_policy_is_a_file_or_a_table_of_the_settings() {
        let own = "[licenses]\nallow = ['MIT']\n";
        let settings = "jobs = 2\n[audit.licenses]\nallow = ['MIT']\n";
        let lines = |policy: Policy| {
            let entries = policy.licenses.iter().flat_map(|rules| &rules.allow);
            entries.map(|entry| entry.place.line).collect::<Vec<_>>()
        };
        assert_eq!(lines(Policy::parse("p", own).unwrap()), [2]);
        assert_eq!(lines(Policy::parse("p", settings).unwrap()), [3]);
        assert_eq!(Layer::find("p", "jobs = 2\n").unwrap(), None);
    }

    #[test]
    fn a_mistake_is_shown_with_its_line_and_what_was_meant() {
        for (text, expected) in [
            (
                "[licenses]\nalow = ['MIT']",
                "policy.toml:2: there is no key `alow`; did you mean `allow`?",
            ),
            (
                "[licenses]\nallow = [\n 'MIT',\n 'GPL-3.0',\n]",
                "policy.toml:4: no license of SPDX is called `GPL-3.0`; did you mean `GPL-3.0-only`?",
            ),
            (
                "[licenses]\nallow = 3",
                "policy.toml:2: `allow` must be a text or a list of texts",
            ),
            (
                "[licenses]\ndeny = ['category:free']",
                "policy.toml:2: there is no category `free` of licenses",
            ),
            (
                "unlicensed = 'no'\n[licenses]",
                "policy.toml:1: `unlicensed` is `no`, but must be `warn` or `deny`",
            ),
            (
                "[licenses]\n[[licenses.rule]]\nlicense = 'MIT'\nrelation = 'statik'\nthen = 'deny'",
                "policy.toml:4: there is no relation `statik`",
            ),
            (
                "[licenses]\n[[licenses.rule]]\nlicense = 'MIT'",
                "policy.toml:2: there is no `then`",
            ),
            ("[licenses", "policy.toml:1: "),
            (
                "version = 2\n[licenses]",
                "policy.toml:1: a policy of version 2 is not known, only 1",
            ),
        ] {
            let found = error(text);
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
    }

    #[test]
    fn an_exception_needs_a_reason_an_owner_and_an_end() {
        let whole = [
            ("component", "'readline'"),
            ("reason", "'r'"),
            ("owner", "'o'"),
            ("until", "2027-03-31"),
        ];
        let text = |left_out: &str| {
            let lines = whole
                .iter()
                .filter(|(key, _)| *key != left_out)
                .map(|(key, value)| format!("{key} = {value}\n"));
            format!("[licenses]\n[[exception]]\n{}", lines.collect::<String>())
        };
        let policy = Policy::parse("p", &text("")).unwrap();
        assert_eq!(
            policy
                .exceptions
                .first()
                .map(|one| one.until.to_string())
                .as_deref(),
            Some("2027-03-31")
        );
        for (key, _) in whole {
            assert_eq!(
                error(&text(key)),
                format!("policy.toml:2: there is no `{key}`")
            );
        }
        let all = text("").replace("'readline'", "'*'");
        assert!(
            error(&all).contains("does not name one component"),
            "{}",
            error(&all)
        );
    }

    #[test]
    fn a_clarification_is_of_words_or_of_a_component() {
        let of = |subject: &str| {
            format!("[licenses]\n[[clarify]]\n{subject}\nreason = 'r'\nowner = 'o'")
        };
        let notice = format!("notice = 'sha256:{}'", "0".repeat(64));
        assert!(Policy::parse("p", &of(&format!("{notice}\nexpression = 'MIT'"))).is_ok());
        assert!(Policy::parse("p", &of(&format!("{notice}\nshipped = false"))).is_ok());
        assert!(Policy::parse("p", &of("component = 'a@1'\nexpression = 'MIT'")).is_ok());
        for wrong in [
            "notice = 'abc'\nexpression = 'MIT'",
            "expression = 'MIT'",
            "component = 'a'\nshipped = false",
            &notice,
        ] {
            error(&of(wrong));
        }
    }
}
