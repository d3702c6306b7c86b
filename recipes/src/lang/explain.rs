//! The evaluator's errors, in our words and with our places.
//!
//! The crate `starlark` gives its errors a kind, a text and a call stack. Errors of built-in functions are [`LangError`]s
//! inside; of the crate's own ones the texts that matter to authors are recognised and said in the words of the
//! rest of pith. What is not recognised is passed on as it is.

use std::collections::HashMap;

use starlark::codemap::FileSpan;
use starlark::docs::{DocItem, DocMember, DocParams};
use starlark::syntax::AstModule;
use starlark::syntax::ast::{AssignOp, AstStmt, StmtP};
use starlark::values::{FreezeError, Value};
use starlark::{Error, ErrorKind};

use super::dialect::{EvaluationLimits, GLOBALS};
use super::error::{LangError, Limit, Problem};
use super::guard::Shape;
use super::place;
use crate::suggest;

/// What the AST calls instead of `*`; no recipe can write it.
pub(super) const MULTIPLY: &str = "*";

/// What a file's evaluation knew when it ended.
pub(super) struct Known<'a> {
    pub(super) limits: &'a EvaluationLimits,
    /// The names that the file defines.
    pub(super) names: &'a [String],
    /// Gives the names of a function's parameters.
    pub(super) parameters: &'a dyn Fn(&str) -> Vec<String>,
}

/// Explains why a text is no Starlark.
pub(super) fn syntax(error: Error, shape: Shape) -> LangError {
    let span = error.span().cloned();
    let message = error.without_diagnostic().to_string();
    let message = message
        .trim_start_matches("error: ")
        .trim_start_matches("Parse error: ");
    let hint = match (&span, shape.unclosed) {
        (Some(span), Some((bracket, offset))) => {
            let opened = place::at_offset(String::new(), span.file.source().to_owned(), offset);
            opened.map(|place| {
                format!(
                    "the `{bracket}` in line {} is never closed",
                    place.location.line
                )
            })
        }
        _ => None,
    };
    let place = span
        .as_ref()
        .map(|span| place::place(&place::skip_line_end(span)));
    LangError::new(Problem::Syntax {
        message: polish(message),
    })
    .at(place)
    .with_hint(hint)
}

/// Explains why a file's values cannot be frozen.
pub(super) fn freeze(error: FreezeError) -> LangError {
    LangError::new(Problem::Internal {
        message: format!("{error:?}"),
    })
}

/// Explains why a file's evaluation ended; `last` is the last statement that it began.
pub(super) fn evaluation(error: Error, known: &Known<'_>, last: Option<FileSpan>) -> LangError {
    let mut spans = spans(&error);
    if spans.is_empty() {
        spans.extend(last);
    }
    let explained = explain_kind(error.into_kind(), known);
    let calls = |from: usize| {
        spans
            .iter()
            .skip(from)
            .map(place::location)
            .collect::<Vec<_>>()
    };
    if let Some(place) = explained.place() {
        let known = (place.location.file.clone(), place.location.line);
        let cycle = matches!(explained.problem(), Problem::Cycle { .. });
        let others = calls(0)
            .into_iter()
            .filter(|call| !cycle && (call.file.as_str(), call.line) != (&known.0, known.1));
        let others: Vec<_> = others.collect();
        return explained.called_from(others);
    }
    let field = explained.field().map(str::to_owned);
    let written = field.and_then(|field| {
        spans
            .iter()
            .enumerate()
            .find_map(|(depth, span)| Some((depth, place::find_argument(span, &field)?)))
    });
    match written {
        Some((depth, found)) => {
            let explained = if depth > 0 {
                blame_caller(explained, &spans[depth], known)
            } else {
                explained
            };
            explained.at(Some(found)).called_from(calls(depth + 1))
        }
        None => explained
            .at(spans.first().map(place::place))
            .called_from(calls(1)),
    }
}

/// Says of an argument that was handed on to a built-in function that the function which the recipe called does not have it.
fn blame_caller(error: LangError, call: &FileSpan, known: &Known<'_>) -> LangError {
    let Problem::UnknownField {
        field,
        known: fields,
        ..
    } = error.problem()
    else {
        return error;
    };
    let function = call
        .source_span()
        .split('(')
        .next()
        .unwrap_or_default()
        .trim();
    let parameters = (known.parameters)(function);
    if parameters.is_empty() {
        return error;
    }
    let known = parameters
        .into_iter()
        .chain(fields.iter().cloned())
        .collect();
    Problem::UnknownField {
        function: function.to_owned(),
        field: field.clone(),
        known,
    }
    .into()
}

fn explain_kind(kind: ErrorKind, known: &Known<'_>) -> LangError {
    match kind {
        ErrorKind::Native(inner) | ErrorKind::Other(inner) | ErrorKind::Value(inner) => {
            match inner.downcast::<LangError>() {
                Ok(ours) => ours,
                Err(inner) => {
                    let message = inner.to_string();
                    limit(&message, known.limits).unwrap_or_else(|| value(&message))
                }
            }
        }
        ErrorKind::Fail(inner) => Problem::Fail {
            message: fail_message(&inner.to_string()),
        }
        .into(),
        ErrorKind::StackOverflow(_) => {
            Problem::Limit(Limit::CallDepth(known.limits.call_depth)).into()
        }
        ErrorKind::Function(inner) => call(&inner.to_string(), known.parameters),
        ErrorKind::Scope(inner) => scope(&inner.to_string(), known.names),
        ErrorKind::Internal(inner) => Problem::Internal {
            message: inner.to_string(),
        }
        .into(),
        ErrorKind::Freeze(inner) | ErrorKind::Parser(inner) => value(&inner.to_string()),
        other => value(&format!("{other:?}")),
    }
}

/// Explains an operation that its values do not allow.
fn value(message: &str) -> LangError {
    let (message, suggestion) = match message.split_once(", did you mean `") {
        Some((message, suggestion)) => (message, suggestion.split('`').next()),
        None => (message, None),
    };
    let hint = suggestion.map(|name| format!("did you mean `{name}`?"));
    let name = message.split('`').nth(1).unwrap_or_default();
    let message = if let Some((kind, attribute)) = message
        .strip_prefix("Object of type ")
        .and_then(|rest| rest.split_once(" has no attribute "))
    {
        format!("a value of type {kind} has no attribute {attribute}")
    } else if message == "Immutable" {
        "this value cannot be changed any more: it belongs to a file that was loaded".to_owned()
    } else if message.starts_with("Module has no symbol") {
        format!("the file defines nothing named `{name}`")
    } else if message.starts_with("Cannot import private symbol") {
        format!("`{name}` is private to its file, as every name with a leading `_`")
    } else if message.starts_with("Module symbol") {
        format!("the file loads `{name}` from another one and does not hand it on")
    } else {
        polish(message)
    };
    LangError::new(Problem::Evaluation { message }).with_hint(hint)
}

/// Returns the error's own span and then those of the calls around it, the nearest first, without duplicates.
fn spans(error: &Error) -> Vec<FileSpan> {
    let calls = error
        .call_stack()
        .frames
        .iter()
        .rev()
        .filter_map(|frame| frame.location.clone());
    let mut spans: Vec<FileSpan> = error.span().cloned().into_iter().chain(calls).collect();
    spans.dedup();
    spans
}

impl From<Problem> for LangError {
    fn from(problem: Problem) -> Self {
        Self::new(problem)
    }
}

/// What built-in functions return to the evaluator.
impl From<LangError> for Error {
    fn from(error: LangError) -> Self {
        Self::new_native(error)
    }
}

fn limit(message: &str, limits: &EvaluationLimits) -> Option<LangError> {
    let problem = if message.contains("ticks has been exceeded") {
        Limit::Steps(limits.steps)
    } else if message.to_lowercase().contains("heap memory limit") {
        Limit::Heap(limits.heap_bytes)
    } else {
        return None;
    };
    Some(Problem::Limit(problem).into())
}

fn fail_message(message: &str) -> String {
    message.trim_start_matches("fail:").trim().to_owned()
}

/// Explains a call with wrong arguments.
fn call(message: &str, parameters: &dyn Fn(&str) -> Vec<String>) -> LangError {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let function = message.rsplit(" for call to ").next().unwrap_or_default();
    let function = function
        .trim_matches('`')
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_owned();
    let problem = match quoted.first() {
        Some(field) if message.starts_with("Found `") => {
            let known = parameters(&function);
            Problem::UnknownField {
                function,
                field: (*field).to_owned(),
                known,
            }
        }
        Some(field) if message.starts_with("Missing ") => Problem::MissingField {
            function,
            field: (*field).to_owned(),
        },
        _ => Problem::Evaluation {
            message: polish(message),
        },
    };
    problem.into()
}

/// Explains a name that does not exist.
fn scope(message: &str, names: &[String]) -> LangError {
    let name = message.split('`').nth(1).unwrap_or_default();
    let globals: Vec<String> = GLOBALS
        .names()
        .map(|name| name.as_str().to_owned())
        .collect();
    let known = names
        .iter()
        .chain(&globals)
        .map(String::as_str)
        .filter(|name| !name.ends_with('*'));
    let hint = suggest::nearest(name, known).map(|near| format!("did you mean `{near}`?"));
    let problem = Problem::Evaluation {
        message: format!("there is nothing named `{name}`"),
    };
    LangError::new(problem).with_hint(hint)
}

/// Returns the names of the parameters of a function.
pub(super) fn parameters(function: Value<'_>) -> Vec<String> {
    match function.documentation() {
        DocItem::Member(DocMember::Function(function)) => {
            let DocParams {
                pos_only,
                pos_or_named,
                named_only,
                ..
            } = function.params;
            pos_only
                .into_iter()
                .chain(pos_or_named)
                .chain(named_only)
                .map(|parameter| parameter.name)
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Brings a foreign message into the shape of ours: lower case first, no period at the end.
fn polish(message: &str) -> String {
    let message = message
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .trim_end_matches('.');
    let mut characters = message.chars();
    let starts_a_word = message
        .chars()
        .nth(1)
        .is_some_and(|c| c.is_lowercase() || c == ' ');
    match characters.next() {
        Some(first) if starts_a_word => first.to_lowercase().chain(characters).collect(),
        _ => message.to_owned(),
    }
}

/// Returns the error that a statement is used which the language of recipes does not have.
pub(super) fn forbidden_statement(ast: &AstModule) -> Option<LangError> {
    fn find<'a>(statement: &'a AstStmt, found: &mut Option<&'a AstStmt>) {
        match &statement.node {
            StmtP::AssignModify(_, AssignOp::Multiply, _) => *found = found.or(Some(statement)),
            _ => statement.node.visit_stmt(|inner| find(inner, found)),
        }
    }
    let mut found = None;
    find(ast.statement(), &mut found);
    let place = place::place(&ast.file_span(found?.span));
    let message = "recipes have no `*=`; write `x = x * …`".to_owned();
    Some(LangError::new(Problem::Syntax { message }).at(Some(place)))
}

/// Sends every `*` through a function that bounds its result.
pub(super) fn guard_products(mut ast: AstModule) -> AstModule {
    ast.replace_binary_operators(&HashMap::from([("*".to_owned(), MULTIPLY.to_owned())]));
    ast
}
