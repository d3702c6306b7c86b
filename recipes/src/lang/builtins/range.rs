//! `range`, with a bound: `list(range(n))` is one step, so that the bound on steps does not see it.

use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;

use crate::lang::dialect::{GLOBALS, UNBOUNDED_RANGE};
use crate::lang::error::{LangError, Limit, Problem};

/// The longest range.
const MAX_RANGE: u32 = 1_000_000;

#[starlark_module]
pub(in crate::lang) fn register(builder: &mut GlobalsBuilder) {
    /// The numbers from `start` (0) to before `stop`, by `step` (1); at most a million.
    fn range<'v>(
        #[starlark(require = pos)] a1: i32,
        #[starlark(require = pos)] a2: Option<i32>,
        #[starlark(require = pos)] step: Option<i32>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let (start, stop) = a2.map_or((0, a1), |stop| (a1, stop));
        let step = step.unwrap_or(1);
        let length =
            i64::from(start).abs_diff(i64::from(stop)) / u64::from(step.unsigned_abs().max(1));
        if length > u64::from(MAX_RANGE) && (step > 0) == (stop > start) {
            return Err(LangError::new(Problem::Limit(Limit::Range(MAX_RANGE))).into());
        }
        let function = GLOBALS
            .iter()
            .find(|(name, _)| *name == UNBOUNDED_RANGE)
            .map(|(_, function)| function.to_value());
        let missing = || {
            LangError::new(Problem::Internal {
                message: "Starlark has no `range`".to_owned(),
            })
        };
        let heap = eval.heap();
        eval.eval_function(
            function.ok_or_else(missing)?,
            &[heap.alloc(start), heap.alloc(stop), heap.alloc(step)],
            &[],
        )
    }
}
