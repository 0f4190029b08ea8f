//! Calls: eval/apply, with the arity in the function.

use super::{
    Machine,
    profile::Begins,
    stack::{Frame, move_words},
};
use crate::{
    error::{self, Error},
    heap::Cells,
    ir::Formals,
    value::{Builtin, FunctionView, LambdaRef, Run, Value, View, code::LambdaCode},
};

impl Machine {
    /// Calls `f` with arguments, which may be thunks. With fewer than it takes the result is a partial
    /// application; with more the result is called with the rest. With none, a constant is computed and
    /// anything else is forced.
    ///
    /// # Errors
    /// When `f` cannot be called, and those of its body.
    pub fn call(&mut self, f: Value, args: &[Value]) -> Result<Value, Error> {
        let mut f = self.force(f)?;
        let mut args = args;
        let mut n_functors = 0;
        loop {
            let Some(function) = f.as_function() else {
                if args.is_empty() {
                    return Ok(f);
                }
                self.count_step(&mut n_functors)?;
                f = self.functor(f)?;
                continue;
            };
            match function.view() {
                FunctionView::Lambda(lambda) => {
                    lambda.see();
                    let arity = lambda.code().arity as usize;
                    if args.len() < arity {
                        if args.is_empty() {
                            return Ok(f);
                        }
                        return Ok(self.new_partial(f, args));
                    }
                    let (now, later) = args.split_at(arity);
                    f = self.call_lambda(lambda, now)?;
                    args = later;
                }
                FunctionView::Builtin(builtin) => {
                    let builtin = builtin.builtin();
                    let arity = builtin.run.arity();
                    if args.len() < arity {
                        if args.is_empty() {
                            return Ok(f);
                        }
                        return Ok(self.new_partial(f, args));
                    }
                    let (now, later) = args.split_at(arity);
                    f = self.run_builtin(builtin, now)?;
                    args = later;
                }
                FunctionView::Partial(partial) => {
                    if args.is_empty() {
                        return Ok(f);
                    }
                    let all: Vec<Value> = partial.args().iter().chain(args).copied().collect();
                    return self.deeper(|m| m.call(partial.function(), &all));
                }
            }
            if args.is_empty() {
                // Builtins may give a thunk back, which is then theirs to have finished or ours to force.
                return self.force(f);
            }
            f = self.force(f)?;
        }
    }

    /// Runs a builtin with exactly the arguments it takes.
    #[inline(always)]
    pub(crate) fn run_builtin(
        &mut self,
        builtin: &Builtin,
        args: &[Value],
    ) -> Result<Value, Error> {
        self.stats.builtin_calls += 1;
        self.poll_in(|| Begins::Builtin(builtin))?;
        let top = self.stack.top;
        let result = match (&builtin.run, args) {
            (Run::Constant(f), _) => f(self),
            (Run::One(f), &[a, ..]) => f(self, a),
            (Run::Two(f), &[a, b, ..]) => f(self, a, b),
            (Run::Three(f), &[a, b, c, ..]) => f(self, a, b, c),
            (Run::Closure { number, .. }, args) => self.run_closure(*number, args),
            _ => unreachable!("callers bring as many arguments as the builtin takes"),
        };
        self.stack.top = top;
        self.builtin_ended();
        match result {
            Ok(v) => self.force(v),
            Err(e) => Err(e),
        }
    }

    /// Calls a lambda with exactly the arguments it takes.
    fn call_lambda(&mut self, lambda: LambdaRef, args: &[Value]) -> Result<Value, Error> {
        if self.near_end() {
            return self.on_new_segment(|m| m.call_lambda(lambda, args));
        }
        self.poll_in(|| Begins::Function(lambda.code().address()))?;
        self.enter_call()?;
        self.stats.calls += 1;
        let code = lambda.code();
        let top = self.stack.top;
        let result = self.enter_lambda(lambda, code, args);
        self.stack.top = top;
        self.depth -= 1;
        result
    }

    fn enter_lambda(
        &mut self,
        lambda: LambdaRef,
        code: &LambdaCode,
        args: &[Value],
    ) -> Result<Value, Error> {
        let locals = self.stack.push(code.n_locals as usize)?;
        for (i, arg) in args.iter().enumerate() {
            locals.put(i, arg.0);
        }
        let frame = Frame::new(code.unit(), locals, lambda.captures());
        if code.has_formals {
            self.bind_formals(frame, code)?;
        }
        self.eval(frame, code.root).map_err(|e| self.in_call(e, code))
    }

    #[cold]
    pub(crate) fn in_call(&self, e: Error, code: &LambdaCode) -> Error {
        let text = match code.name() {
            Some(name) => {
                format!("while calling '{}'", String::from_utf8_lossy(self.symbols().name(name)))
            }
            None => "while calling a function".to_owned(),
        };
        e.frame(error::FrameKind::Call, text, Some(code.location()))
    }

    /// The function that a set with `__functor` is, applied to the set.
    #[cold]
    #[inline(never)]
    pub(crate) fn functor(&mut self, f: Value) -> Result<Value, Error> {
        self.poll()?;
        if let View::Attrs(attrs) = f.view()
            && let Some(functor) = attrs.get(self.shared.names.functor)
        {
            return self.deeper(|m| m.call(functor, &[f]));
        }
        Err(error::not_a_function(&f.view(), &self.preview(f)))
    }

    /// Binds the formals of a function that takes a set: slot 0 holds the argument and then the group.
    ///
    /// # Errors
    /// When the argument is no set, lacks formals, or has names that are none; all of them are named.
    #[inline(never)]
    pub(crate) fn bind_formals(&mut self, frame: Frame, code: &LambdaCode) -> Result<(), Error> {
        let arg = Value(frame.locals.word(0));
        let formals = formals_of(code);
        let v = self.force(arg)?;
        let Some(attrs) = v.as_attrs() else {
            return Err(self.wrong_type("a set", v, "").label(code.location(), "takes a set"));
        };
        let n = formals.formals.len();
        let group = self.zeroed_words(n + usize::from(formals.args.is_some()));
        frame.set(0, Value(group.address() as u64));
        if formals.args.is_some() {
            group.put(n, arg.0);
        }
        let mut n_found = 0;
        let mut lacks = false;
        if attrs.is_layered() || attrs.len() > 4 * n {
            for (i, formal) in formals.formals.iter().enumerate() {
                match attrs.get(formal.name) {
                    Some(value) => {
                        group.put(i, value.0);
                        n_found += 1;
                    }
                    None => lacks |= formal.default.is_none(),
                }
            }
        } else {
            // Both are in order of `Symbol`.
            let names = attrs.top_shape().names();
            let values = attrs.flat_values();
            let mut at = 0;
            for (i, formal) in formals.formals.iter().enumerate() {
                while at < names.len() && names[at] < formal.name {
                    at += 1;
                }
                if at < names.len() && names[at] == formal.name {
                    group.put(i, values[at].0);
                    at += 1;
                    n_found += 1;
                } else {
                    lacks |= formal.default.is_none();
                }
            }
        }
        if lacks || (!formals.ellipsis && n_found < attrs.len()) {
            return Err(self.wrong_arguments(code, formals, attrs));
        }
        if n_found < n {
            for (i, formal) in formals.formals.iter().enumerate() {
                if group.word(i) == 0
                    && let Some(default) = formal.default
                {
                    let value = self.operand(frame, default);
                    group.put(i, value.0);
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn wrong_arguments(
        &self,
        code: &LambdaCode,
        formals: &Formals,
        attrs: crate::value::Attrs,
    ) -> Error {
        let symbols = self.symbols();
        let missing: Vec<&[u8]> = formals
            .source_order
            .iter()
            .map(|&i| &formals.formals[i as usize])
            .filter(|f| f.default.is_none() && !attrs.has(f.name))
            .map(|f| symbols.name(f.name))
            .collect();
        let mut unexpected = Vec::new();
        if !formals.ellipsis {
            for (name, _) in attrs.iter_by_name(symbols) {
                if !formals.formals.iter().any(|f| f.name == name) {
                    unexpected.push((symbols.name(name), attrs.position(name)));
                }
            }
        }
        // In the order in which they are written.
        unexpected.sort_by_key(|u| u.1.map(|location| location.span.start));
        let names: Vec<&[u8]> = unexpected.iter().map(|u| u.0).collect();
        let function = code.name().map(|name| symbols.name(name));
        let mut error = error::wrong_arguments(function, &missing, &names);
        let all: Vec<&[u8]> = formals.formals.iter().map(|f| symbols.name(f.name)).collect();
        let mut renames = Vec::new();
        let mut is_first = true;
        for (name, position) in unexpected {
            if let Some(position) = position {
                let text = "not an argument";
                error =
                    if is_first { error.at(position, text) } else { error.label(position, text) };
                is_first = false;
            }
            if let Some(near) = error::suggest::nearest(name, all.iter().copied()).first() {
                let (name, near) = (String::from_utf8_lossy(name), String::from_utf8_lossy(near));
                renames.push(format!("'{name}' -> '{near}'"));
            }
        }
        if !renames.is_empty() {
            error = error.hint(renames.join(", "));
        }
        error.label(code.location(), "takes these")
    }
}

/// The formals of a function that takes a set.
fn formals_of<'a>(code: &LambdaCode) -> &'a Formals {
    match &code.lambda().params {
        crate::ir::Params::Formals(formals) => formals,
        crate::ir::Params::Simple(_) => {
            unreachable!("the caller saw that the function has formals")
        }
    }
}

/// Moves the arguments of a tail call down to where the finished frame began.
#[inline(always)]
pub(crate) fn reuse_frame(from: Cells, base: Cells, n: usize) {
    if from != base {
        move_words(from, base, n);
    }
}
