//! `pith cache trust-explain`: what the signatures of a store path are worth here, and why.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use store::trust::{KeyName, Policy, Reason, Signatures, Verdict};
use store::{LocalStore, PathInfo, Realisation, ResolvedDigest};
use thiserror::Error;

use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::realise::realise_one;
use crate::selection::SelectError;

/// Show whether the signatures of a store path are trusted, and why
#[derive(Debug, Args)]
pub(super) struct TrustExplainArgs {
    /// A store path, or a target that is built already or will be
    #[arg(value_name = "PATH")]
    target: String,
}

/// Nobody who is trusted says that the path is what a derivation is built to.
#[derive(Debug, Error)]
#[error("no realisation of `{path}` is trusted")]
struct NotTrusted {
    path: String,
}

#[derive(Debug, Serialize)]
struct Report {
    path: String,
    object: Judgement,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<Judgement>,
    realisations: Vec<RealisationReport>,
}

#[derive(Debug, Serialize)]
struct RealisationReport {
    resolved: ResolvedDigest,
    output: String,
    #[serde(flatten)]
    judgement: Judgement,
}

/// A verdict in a report.
#[derive(Debug, Serialize)]
struct Judgement {
    accepted: bool,
    signers: BTreeSet<KeyName>,
    reasons: Vec<String>,
}

impl From<&Verdict> for Judgement {
    fn from(verdict: &Verdict) -> Self {
        Self {
            accepted: verdict.is_accepted(),
            signers: verdict.signers().clone(),
            reasons: verdict.reasons().iter().map(Reason::to_string).collect(),
        }
    }
}

/// Prints what each signature that is known here comes to; exit status 3 when no realisation is trusted.
pub(super) fn trust_explain(
    args: &TrustExplainArgs,
    context: &Context,
) -> Result<(), CommandError> {
    let store = context.open_store()?;
    let path = realise_one(context, &store, &args.target)?;
    let info = store
        .path_info(&path)?
        .ok_or_else(|| SelectError::NotValid(path.to_logical()))?;
    let trust = &context.settings().trust;
    let (report, unknown) = explain(&store, &info, &trust.policy())?;
    if context.printer().is_json() {
        context.printer().json(&report)?;
    } else {
        context.printer().result(&text(&report))?;
    }
    if report
        .realisations
        .iter()
        .any(|realisation| realisation.judgement.accepted)
    {
        return Ok(());
    }
    let offered = trust
        .offered
        .iter()
        .filter(|key| unknown.contains(key.name()));
    let error = NotTrusted {
        path: path.to_logical(),
    };
    Err(offered.fold(CommandError::new(ExitStatus::No, error), |error, key| {
        error.hint(format!(
            "the project offers the key `{key}`; if you trust who wrote it, put it under `[trust]` into your own settings, or pass it to `--trust`"
        ))
    }))
}

/// Judges all that is known of an object. Also returns the names of keys that are not trusted.
fn explain(
    store: &LocalStore,
    info: &PathInfo,
    policy: &Policy,
) -> Result<(Report, BTreeSet<KeyName>), CommandError> {
    let now = seconds_now();
    let known = store.find_signatures(&info.id)?;
    let object = policy.judge_object(info, &known.object, now);
    let component = known.component.as_ref().map(|component| {
        policy.judge_component(&info.id, &component.json, &component.signatures, now)
    });
    let realisations: Vec<_> = outcomes(store, info, &known)?
        .into_iter()
        .map(|realisation| {
            let verdict = policy.judge(&realisation, &known.realisations, now);
            (realisation, verdict)
        })
        .collect();
    let verdicts = realisations.iter().map(|(_, verdict)| verdict);
    let unknown = verdicts
        .chain([&object])
        .chain(&component)
        .flat_map(Verdict::reasons)
        .filter_map(|reason| match reason {
            Reason::UnknownKey { name } => Some(name.clone()),
            _ => None,
        })
        .collect();
    let report = Report {
        path: info.path.to_logical(),
        object: Judgement::from(&object),
        component: component.as_ref().map(Judgement::from),
        realisations: realisations
            .iter()
            .map(|(realisation, verdict)| RealisationReport {
                resolved: realisation.resolved,
                output: realisation.output.clone(),
                judgement: Judgement::from(verdict),
            })
            .collect(),
    };
    Ok((report, unknown))
}

/// What was built to the object, here or by those who signed it: one for each output of each derivation, in that order.
fn outcomes(
    store: &LocalStore,
    info: &PathInfo,
    known: &Signatures,
) -> Result<Vec<Realisation>, CommandError> {
    let mut realisations = store.find_realisations_of(&info.id)?;
    let signed = known.realisations.iter();
    realisations.extend(signed.map(|signed| signed.realisation.clone()));
    realisations.sort_by(|a, b| (a.resolved, &a.output).cmp(&(b.resolved, &b.output)));
    realisations.dedup_by(|a, b| (a.resolved, &a.output) == (b.resolved, &b.output));
    Ok(realisations)
}

fn text(report: &Report) -> String {
    let mut text = format!("{}\n", report.path);
    let mut add = |subject: &str, judgement: &Judgement| {
        let verdict = if judgement.accepted {
            let signers: Vec<_> = judgement.signers.iter().map(KeyName::as_str).collect();
            format!("trusted, signed by {}", signers.join(", "))
        } else {
            "not trusted".to_owned()
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{subject}: {verdict}");
        for reason in &judgement.reasons {
            let _ = writeln!(text, "  {reason}");
        }
    };
    add("object", &report.object);
    if let Some(component) = &report.component {
        add("component", component);
    }
    for realisation in &report.realisations {
        let subject = format!(
            "realisation `{}` of {}",
            realisation.output, realisation.resolved
        );
        add(&subject, &realisation.judgement);
    }
    text
}
