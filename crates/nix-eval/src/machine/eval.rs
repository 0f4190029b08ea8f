//! Walking a program.
//!
//! [`Machine::eval`] answers the commonest nodes where it is inlined; [`Machine::walk`] is the loop for the
//! rest. Bodies of `if`, `let`, `with`, `assert` and saturated calls in tail position go round the loop, so
//! they use neither native stack nor call depth. A walk takes its frames from the value stack above its
//! caller's and gives them back when it ends.

use std::sync::atomic::Ordering;

use super::{Machine, call::reuse_frame, profile::Begins, stack::Frame};
use crate::{
    error::{self, Error},
    heap::Cells,
    ir::{BodyId, LambdaId, Node, NodeId, Operand, Place, Range},
    source::Location,
    value::{
        FUNCTION, FUNCTION_KIND, LAMBDA, LIST, SEEN, TAG, Thunk, Value,
        code::{Cheap, Code, LambdaCode, Unit},
    },
};

/// What a walk has to give back, and to tell about, when it ends.
#[derive(Clone, Copy)]
struct Walk {
    /// Top of the value stack at its beginning.
    base: usize,
    /// The function whose body runs, if the walk has made a call.
    callee: *const LambdaCode,
    /// Calls that took the place of another one.
    n_tail_calls: u64,
    /// Where its first call is written.
    site: NodeId,
    caller: *const Unit,
}

impl Machine {
    /// The value of a node in strict position, in weak head normal form.
    #[inline(always)]
    pub(crate) fn eval(&mut self, frame: Frame, id: NodeId) -> Result<Value, Error> {
        match frame.unit().node(id) {
            Node::Const(c) => Ok(frame.unit().constant(c)),
            Node::Var(place) => self.force_at(frame.get(place), frame, id),
            Node::Member { group, index } => self.force_at(frame.member(group, index), frame, id),
            _ => self.walk(frame, id),
        }
    }

    /// Forces a variable; a failure is blamed on the variable unless it has a place.
    #[inline(always)]
    fn force_at(&mut self, v: Value, frame: Frame, id: NodeId) -> Result<Value, Error> {
        match self.force(v) {
            Ok(v) => Ok(v),
            Err(e) => Err(blame(e, frame, id)),
        }
    }

    /// The value of a node in operand position: a value or a thunk, nothing is run.
    #[inline(always)]
    pub(crate) fn operand(&mut self, frame: Frame, id: NodeId) -> Value {
        let id = match id.operand() {
            Operand::Suspend(body) => return self.suspend(frame, body),
            Operand::Const(c) => return frame.unit().constant(c),
            Operand::Node(id) => id,
        };
        match frame.unit().node(id) {
            Node::Var(place) => frame.get(place),
            Node::Member { group, index } => frame.member(group, index),
            node => self.rare_operand(frame, id, node),
        }
    }

    #[inline(never)]
    fn rare_operand(&mut self, frame: Frame, id: NodeId, node: Node) -> Value {
        match node {
            Node::Const(c) => frame.unit().constant(c),
            Node::Global(global) => self.globals[global.0 as usize].value,
            Node::Lambda(lambda) => self.lambda(frame, lambda, 0),
            Node::EmptyList => Value::EMPTY_LIST,
            Node::List(range) => self.list(frame, range),
            Node::CurPos => self.position_value(frame.unit().location(id)),
            // The reader suspends everything else; what it does not is total and cheap.
            _ => match self.walk(frame, id) {
                Ok(v) => v,
                Err(e) => self.delay_error(e),
            },
        }
    }

    /// A thunk of a body, or its value if that is as cheap.
    #[inline(always)]
    fn suspend(&mut self, frame: Frame, body: BodyId) -> Value {
        let unit = frame.unit();
        let code = unit.body(body);
        if code.cheap != Cheap::No
            && let Some(v) = self.cheap(frame, code)
        {
            self.stats.thunks_avoided += 1;
            return v;
        }
        self.stats.thunks_made += 1;
        let captures = unit.words(code.captures);
        let cells = self.any_words(1 + captures.len());
        cells.put(0, Thunk::code_word(code.address()));
        for (i, &place) in captures.iter().enumerate() {
            cells.put(1 + i, frame.get(Place(place)).0);
        }
        Thunk(cells).value()
    }

    /// The value of a body that only adds or selects, if its operands are finished and nothing can fail.
    #[inline]
    fn cheap(&mut self, frame: Frame, code: &Code) -> Option<Value> {
        let unit = frame.unit();
        let word = |i: u32| Place(unit.word(code.captures.start + i));
        let small = |i: u8| {
            let v = frame.get(word(i.into()));
            // A cell of a group may still be empty.
            if v == Value::HOLE { None } else { v.peek().as_small_int() }
        };
        match code.cheap {
            Cheap::No => None,
            Cheap::Add(i, n) => Value::small_int(small(i)?.checked_add(n.into())?),
            Cheap::AddTwo(i, j) => Value::small_int(small(i)?.checked_add(small(j)?)?),
            Cheap::SubTwo(i, j) => Value::small_int(small(i)?.checked_sub(small(j)?)?),
            Cheap::Select => {
                let Node::Select { base, name, cache } = unit.node(code.root) else { return None };
                let base = match unit.node(base) {
                    Node::Var(place) => frame.get(word(place.index())),
                    Node::Member { group, index } => {
                        let group = frame.get(word(group.index()));
                        Value(Cells::at(group.0 as usize).word(index as usize))
                    }
                    _ => return None,
                };
                if base == Value::HOLE {
                    return None;
                }
                let attrs = base.as_attrs()?;
                if attrs.is_layered() {
                    return None;
                }
                let v = self.find_cached(unit, attrs, name, cache)?;
                if v == Value::HOLE {
                    return None;
                }
                let v = v.peek();
                // Functions are compared by cell, and this would not be a cell of its own.
                if v.is_thunk() || v.tag() == FUNCTION { None } else { Some(v) }
            }
        }
    }

    #[inline(always)]
    fn lambda(&mut self, frame: Frame, id: LambdaId, seen: u64) -> Value {
        let unit = frame.unit();
        let code = &unit.lambdas[id.0 as usize];
        let captures = unit.words(code.captures);
        let cells = self.any_words(1 + captures.len());
        cells.put(0, code.address() as u64 | LAMBDA | seen);
        for (i, &place) in captures.iter().enumerate() {
            cells.put(1 + i, frame.get(Place(place)).0);
        }
        Value::tagged(cells, FUNCTION)
    }

    fn list(&mut self, frame: Frame, range: Range) -> Value {
        if range.len == 0 {
            return Value::EMPTY_LIST;
        }
        let unit = frame.unit();
        let cells = self.new_list_cells(range.len as usize);
        for (i, &item) in unit.words(range).iter().enumerate() {
            let v = self.operand(frame, NodeId(item));
            cells.put(1 + i, v.0);
        }
        Value::tagged(cells, LIST)
    }

    /// Any node in strict position.
    #[inline(never)]
    pub(crate) fn walk(&mut self, frame: Frame, id: NodeId) -> Result<Value, Error> {
        if self.near_end() {
            return self.on_new_segment(|m| m.walk(frame, id));
        }
        let mut frame = frame;
        let mut id = id;
        let mut walk = Walk {
            base: self.stack.top,
            callee: std::ptr::null(),
            n_tail_calls: 0,
            site: id,
            caller: std::ptr::null(),
        };

        /// The value, or the end of the walk.
        macro_rules! get {
            ($result:expr) => {
                match $result {
                    Ok(v) => v,
                    Err(e) => return Err(self.walk_failed(e, frame, id, walk)),
                }
            };
        }
        /// The value, and the end of the walk.
        macro_rules! done {
            ($result:expr) => {{
                let v = get!($result);
                self.stack.top = walk.base;
                if !walk.callee.is_null() {
                    self.depth -= 1;
                }
                return Ok(v);
            }};
        }

        loop {
            let unit = frame.unit();
            match unit.node(id) {
                Node::Const(c) => done!(Ok::<Value, Error>(unit.constant(c))),
                Node::Var(place) => done!(self.force(frame.get(place))),
                Node::Member { group, index } => done!(self.force(frame.member(group, index))),
                Node::Global(global) => done!(self.force(self.globals[global.0 as usize].value)),
                Node::EmptyList => done!(Ok::<Value, Error>(Value::EMPTY_LIST)),
                Node::CurPos => {
                    done!(Ok::<Value, Error>(self.position_value(unit.location(id))))
                }
                Node::Lambda(lambda) => {
                    done!(Ok::<Value, Error>(self.lambda(frame, lambda, SEEN)))
                }
                Node::List(range) => done!(Ok::<Value, Error>(self.list(frame, range))),
                Node::Set(set) => done!(self.set(frame, set)),
                Node::Let(set) => id = self.bind_let(frame, set),
                Node::WithScope { slot, subject, body } => {
                    let v = self.operand(frame, subject);
                    frame.set(slot, v);
                    id = body;
                }
                Node::With { name, withs, cache } => {
                    done!(self.with_name(frame, id, name, withs, cache))
                }
                Node::Scope { scope, name } => done!(self.scope_name(frame, scope, name)),
                Node::If { condition, branches } => {
                    let v = get!(self.eval(frame, condition));
                    let branch = match v {
                        Value::TRUE => branches,
                        Value::FALSE => branches + 1,
                        _ => done!(Err::<Value, Error>(self.not_a_bool(frame, condition, v))),
                    };
                    id = NodeId(unit.word(branch));
                }
                Node::Assert { condition, body } => {
                    let v = get!(self.eval(frame, condition));
                    match v {
                        Value::TRUE => id = body,
                        Value::FALSE => {
                            done!(Err::<Value, Error>(self.assertion_failed(frame, condition)))
                        }
                        _ => done!(Err::<Value, Error>(self.not_a_bool(frame, condition, v))),
                    }
                }
                Node::Call { function, args } => {
                    let f = get!(self.eval(frame, function));
                    if f.tag() == FUNCTION {
                        let cells = f.cells();
                        let word = cells.atomic(0).load(Ordering::Relaxed);
                        if word & FUNCTION_KIND == LAMBDA {
                            if word & SEEN == 0 {
                                cells.atomic(0).store(word | SEEN, Ordering::Relaxed);
                            }
                            let code = LambdaCode::at((word & !TAG) as usize);
                            if code.arity == args.len {
                                get!(self.poll_in(|| Begins::Function(code.address())));
                                self.stats.calls += 1;
                                let n = args.len as usize;
                                let top = get!(self.stack.push(code.n_locals as usize));
                                for i in 0..n {
                                    let arg = NodeId(unit.word(args.start + i as u32));
                                    let v = self.operand(frame, arg);
                                    top.put(i, v.0);
                                }
                                if walk.callee.is_null() {
                                    get!(self.enter_call());
                                    (walk.site, walk.caller) = (id, unit);
                                } else {
                                    walk.n_tail_calls += 1;
                                    get!(self.check_tail_calls(walk.n_tail_calls));
                                }
                                walk.callee = code;
                                let base = Cells::at(walk.base);
                                reuse_frame(top, base, n);
                                self.stack.top = walk.base + code.n_locals as usize * 8;
                                let next = Frame::new(code.unit(), base, cells.skip(1));
                                if code.has_formals {
                                    get!(self.bind_formals(next, code));
                                }
                                frame = next;
                                id = code.root;
                                continue;
                            }
                        }
                    }
                    done!(self.call_any(frame, f, args))
                }
                Node::CallGlobal { builtin, args } => {
                    done!(self.call_global(frame, builtin.0, args))
                }
                Node::Select { base, name, cache } => {
                    let v = get!(self.eval(frame, base));
                    let found = match v.as_attrs() {
                        Some(attrs) => match self.find_cached(unit, attrs, name, cache) {
                            Some(v) => v,
                            None => done!(Err::<Value, Error>(
                                self.missing_at(unit, id, base, attrs, name)
                            )),
                        },
                        None => done!(Err::<Value, Error>(self.no_set(unit, base, v))),
                    };
                    done!(self.force(found))
                }
                Node::SelectPath { base, path } => done!(self.select_path(frame, id, base, path)),
                Node::SelectOr { base, path } => {
                    let inner = Range { start: path.start, len: path.len - 1 };
                    match get!(self.select_or(frame, base, inner)) {
                        Some(v) => done!(Ok::<Value, Error>(v)),
                        None => id = NodeId(unit.word(path.start + path.len - 1)),
                    }
                }
                Node::HasAttr { base, path } => done!(self.has_attr(frame, base, path)),
                Node::Plus(range) => done!(self.plus(frame, range)),
                Node::Interpolate(range) => done!(self.interpolate(frame, range)),
                Node::InterpolatePath(range) => done!(self.interpolate_path(frame, range)),
                Node::Concat(range) => done!(self.concat(frame, range)),
                Node::Update(range) => done!(self.update_all(frame, range)),
                Node::And(range) => {
                    done!(self.logic(frame, range, Value::FALSE))
                }
                Node::Or(range) => {
                    done!(self.logic(frame, range, Value::TRUE))
                }
                Node::Implies(a, b) => {
                    let v = get!(self.eval(frame, a));
                    match v {
                        Value::FALSE => done!(Ok::<Value, Error>(Value::TRUE)),
                        Value::TRUE => {
                            let v = get!(self.eval(frame, b));
                            if v != Value::TRUE && v != Value::FALSE {
                                done!(Err::<Value, Error>(self.not_a_bool(frame, b, v)))
                            }
                            done!(Ok::<Value, Error>(v))
                        }
                        _ => done!(Err::<Value, Error>(self.not_a_bool(frame, a, v))),
                    }
                }
                Node::Not(a) => match get!(self.eval(frame, a)) {
                    Value::TRUE => done!(Ok::<Value, Error>(Value::FALSE)),
                    Value::FALSE => done!(Ok::<Value, Error>(Value::TRUE)),
                    v => done!(Err::<Value, Error>(self.not_a_bool(frame, a, v))),
                },
                Node::Equal(a, b) => {
                    let a = get!(self.eval(frame, a));
                    let b = get!(self.eval(frame, b));
                    let same = get!(self.equal_forced(a, b));
                    done!(Ok::<Value, Error>(Value::bool(same)))
                }
                Node::NotEqual(a, b) => {
                    let a = get!(self.eval(frame, a));
                    let b = get!(self.eval(frame, b));
                    let same = get!(self.equal_forced(a, b));
                    done!(Ok::<Value, Error>(Value::bool(!same)))
                }
                Node::Less(a, b) => {
                    let a = get!(self.eval(frame, a));
                    let b = get!(self.eval(frame, b));
                    let less = match (a.as_small_int(), b.as_small_int()) {
                        (Some(a), Some(b)) => a < b,
                        _ => get!(self.less(a, b)),
                    };
                    done!(Ok::<Value, Error>(Value::bool(less)))
                }
                Node::NotLess(a, b) => {
                    let a = get!(self.eval(frame, a));
                    let b = get!(self.eval(frame, b));
                    let less = match (a.as_small_int(), b.as_small_int()) {
                        (Some(a), Some(b)) => a < b,
                        _ => get!(self.less(a, b)),
                    };
                    done!(Ok::<Value, Error>(Value::bool(!less)))
                }
                Node::Sub(a, b) => {
                    let a = get!(self.eval(frame, a));
                    let b = get!(self.eval(frame, b));
                    if let (Some(x), Some(y)) = (a.as_small_int(), b.as_small_int())
                        && let Some(v) = Value::small_int(x - y)
                    {
                        done!(Ok::<Value, Error>(v));
                    }
                    done!(self.sub(a, b))
                }
                Node::Mul(a, b) => {
                    let a = get!(self.eval(frame, a));
                    let b = get!(self.eval(frame, b));
                    done!(self.mul(a, b))
                }
                Node::Div(a, b) => {
                    let a = get!(self.eval(frame, a));
                    let b = get!(self.eval(frame, b));
                    done!(self.div(a, b))
                }
                Node::Negate(a) => {
                    let a = get!(self.eval(frame, a));
                    let zero = Value::small_int(0).expect("0 is small");
                    done!(self.sub(zero, a))
                }
                Node::Lookup(name) => done!(self.lookup(unit.constant(name))),
                Node::HomePath(text) => done!(self.home_path(unit.constant(text))),
            }
        }
    }

    /// Ends a walk that failed: gives its frames back, and says where it was.
    #[cold]
    #[inline(never)]
    fn walk_failed(&mut self, e: Error, frame: Frame, id: NodeId, walk: Walk) -> Error {
        self.stack.top = walk.base;
        let e = blame(e, frame, id);
        let e = match frame.unit().node(id) {
            Node::Call { .. } | Node::CallGlobal { .. } => e.called_at(frame.unit().location(id)),
            _ => e,
        };
        if walk.callee.is_null() {
            return e;
        }
        // A walk that could not enter its first call has no callee yet.
        self.depth -= 1;
        let e = self.in_call(e, LambdaCode::at(walk.callee as usize));
        // The walk began in the caller's file, whose unit lives as long as this session.
        let caller = Unit::at(walk.caller as usize);
        e.called_at(caller.location(walk.site))
    }

    /// A call that is not a saturated call of a lambda.
    #[inline(never)]
    fn call_any(&mut self, frame: Frame, f: Value, args: Range) -> Result<Value, Error> {
        let unit = frame.unit();
        let n = args.len as usize;
        let cells = self.stack.push(n)?;
        for i in 0..n {
            let v = self.operand(frame, NodeId(unit.word(args.start + i as u32)));
            cells.put(i, v.0);
        }
        self.call(f, cells.values(n))
    }

    /// A call of a builtin with at least as many arguments as it takes.
    #[inline(never)]
    fn call_global(&mut self, frame: Frame, global: u32, args: Range) -> Result<Value, Error> {
        let unit = frame.unit();
        let n = args.len as usize;
        let global = self.globals[global as usize];
        let Some(builtin) = global.builtin else {
            return self.call_any(frame, global.value, args);
        };
        let arity = builtin.run.arity();
        let cells = self.stack.push(n)?;
        for i in 0..n {
            let node = NodeId(unit.word(args.start + i as u32));
            let v = match node.operand() {
                Operand::Suspend(body) if i == 0 && global.eager && n >= arity => {
                    self.run_body(frame, body)?
                }
                _ => self.operand(frame, node),
            };
            cells.put(i, v.0);
        }
        if n == arity {
            return self.run_builtin(&builtin, cells.values(n));
        }
        self.call(global.value, cells.values(n))
    }

    /// Runs a body at once, its captures on the value stack instead of in a thunk.
    fn run_body(&mut self, frame: Frame, body: BodyId) -> Result<Value, Error> {
        let unit = frame.unit();
        let code = unit.body(body);
        let places = unit.words(code.captures);
        let top = self.stack.top;
        let captures = self.stack.push(places.len())?;
        for (i, &place) in places.iter().enumerate() {
            captures.put(i, frame.get(Place(place)).0);
        }
        let locals = self.stack.push(code.n_locals as usize)?;
        let result = self.eval(Frame::new(unit, locals, captures), code.root);
        self.stack.top = top;
        result
    }

    /// `a && b && …` for `stop` = false, `a || …` for `stop` = true: the first such value, or the last.
    #[inline(never)]
    fn logic(&mut self, frame: Frame, range: Range, stop: Value) -> Result<Value, Error> {
        let mut last = stop;
        for &word in frame.unit().words(range) {
            last = self.eval(frame, NodeId(word))?;
            if last != Value::TRUE && last != Value::FALSE {
                return Err(self.not_a_bool(frame, NodeId(word), last));
            }
            if last == stop {
                break;
            }
        }
        Ok(last)
    }

    #[cold]
    fn not_a_bool(&self, frame: Frame, id: NodeId, v: Value) -> Error {
        self.wrong_type("a Boolean", v, "").at_if_unknown(frame.unit().location(id))
    }

    #[cold]
    fn assertion_failed(&self, frame: Frame, condition: NodeId) -> Error {
        let location = frame.unit().location(condition);
        let text = self.source_text(location);
        let text = String::from_utf8_lossy(&text);
        let shown: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        error::assertion_failed(&shown).at_if_unknown(location)
    }

    /// The text of a place.
    #[cold]
    pub(crate) fn source_text(&self, location: Location) -> Vec<u8> {
        self.shared.sources.text(location)
    }
}

#[cold]
#[inline(never)]
fn blame(e: Error, frame: Frame, id: NodeId) -> Error {
    e.at_if_unknown(frame.unit().location(id))
}
