//! Looks at an evaluation before each of its statements: how much it has taken so far, and where it is.
//!
//! The evaluator's own bounds are checked once in a thousand steps, and do not say where: they are the second line, behind
//! this one.

use std::cell::RefCell;
use std::rc::Rc;

use starlark::codemap::{FileSpan, FileSpanRef};
use starlark::eval::{BeforeStmtFunc, BeforeStmtFuncDyn, Evaluator};

use super::dialect::EvaluationLimits;
use super::error::{LangError, Limit, Problem};
use super::place;

/// Where an evaluation is: the last statement it began.
#[derive(Default)]
pub(super) struct Progress(RefCell<Option<FileSpan>>);

impl Progress {
    /// Returns the last statement that was begun.
    pub(super) fn last(&self) -> Option<FileSpan> {
        self.0.borrow().clone()
    }
}

struct Watch {
    progress: Rc<Progress>,
    limits: EvaluationLimits,
}

/// Bounds what `evaluator` may take, and keeps `progress` at where it is.
pub(super) fn watch(
    evaluator: &mut Evaluator<'_, '_, '_>,
    limits: EvaluationLimits,
    progress: &Rc<Progress>,
) -> Result<(), LangError> {
    evaluator
        .set_max_callstack_size(limits.call_depth)
        .and_then(|()| evaluator.set_max_heap_size(limits.heap_bytes.saturating_mul(2)))
        .and_then(|()| evaluator.set_max_tick_count(limits.steps.saturating_mul(2)))
        .map_err(|error| {
            LangError::new(Problem::Internal {
                message: error.to_string(),
            })
        })?;
    let watch = Watch {
        progress: Rc::clone(progress),
        limits,
    };
    evaluator.before_stmt_for_dap(BeforeStmtFunc::from_dyn(Box::new(watch)));
    Ok(())
}

impl<'e> BeforeStmtFuncDyn<'e> for Watch {
    fn call<'v>(
        &mut self,
        span: FileSpanRef<'_>,
        _continued: bool,
        evaluator: &mut Evaluator<'v, '_, 'e>,
    ) -> starlark::Result<()> {
        let limit = if evaluator.get_total_tick_count() > self.limits.steps {
            Limit::Steps(self.limits.steps)
        } else if evaluator.heap().allocated_bytes() > self.limits.heap_bytes {
            Limit::Heap(self.limits.heap_bytes)
        } else {
            self.progress.0.replace(Some(span.to_file_span()));
            return Ok(());
        };
        let place = place::place(&span.to_file_span());
        Err(LangError::new(Problem::Limit(limit)).at(Some(place)).into())
    }
}
