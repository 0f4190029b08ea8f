//! Numbers: the operators as functions, rounding, bits, comparison.

use crate::{
    builtins::{Builtin, Example, Run},
    error::{self, Class, Error},
    machine::Machine,
    value::{Value, View},
};

pub(super) const ARITH: &[Builtin] = &[
    Builtin {
        name: "add",
        params: &["e1", "e2"],
        doc: "The sum of the numbers *e1* and *e2*. Unlike `+` it takes nothing but numbers.",
        examples: &[
            Example { source: "builtins.add 1 2", shows: "3" },
            Example { source: "builtins.add 1 0.5", shows: "1.5" },
        ],
        run: Run::Two(add),
    },
    Builtin {
        name: "sub",
        params: &["e1", "e2"],
        doc: "The difference between the numbers *e1* and *e2*.",
        examples: &[Example { source: "builtins.sub 5 2", shows: "3" }],
        run: Run::Two(sub),
    },
    Builtin {
        name: "mul",
        params: &["e1", "e2"],
        doc: "The product of the numbers *e1* and *e2*.",
        examples: &[Example { source: "builtins.mul 6 7", shows: "42" }],
        run: Run::Two(mul),
    },
    Builtin {
        name: "div",
        params: &["e1", "e2"],
        doc: "The quotient of the numbers *e1* and *e2*; of two integers, truncated toward zero.",
        examples: &[
            Example { source: "builtins.div (-7) 2", shows: "-3" },
            Example { source: "builtins.div 1 0", shows: "error: division by zero" },
        ],
        run: Run::Two(div),
    },
    Builtin {
        name: "bitAnd",
        params: &["e1", "e2"],
        doc: "Bitwise *and* of the integers *e1* and *e2*.",
        examples: &[Example { source: "builtins.bitAnd 12 10", shows: "8" }],
        run: Run::Two(|m, a, b| bits(m, "bitAnd", a, b, |a, b| a & b)),
    },
    Builtin {
        name: "bitOr",
        params: &["e1", "e2"],
        doc: "Bitwise *or* of the integers *e1* and *e2*.",
        examples: &[Example { source: "builtins.bitOr 12 10", shows: "14" }],
        run: Run::Two(|m, a, b| bits(m, "bitOr", a, b, |a, b| a | b)),
    },
    Builtin {
        name: "bitXor",
        params: &["e1", "e2"],
        doc: "Bitwise *exclusive or* of the integers *e1* and *e2*.",
        examples: &[Example { source: "builtins.bitXor 12 10", shows: "6" }],
        run: Run::Two(|m, a, b| bits(m, "bitXor", a, b, |a, b| a ^ b)),
    },
    Builtin {
        name: "ceil",
        params: &["number"],
        doc: "The least integer that is not below *number*.",
        examples: &[Example {
            source: "[ (builtins.ceil 1.2) (builtins.ceil 3) ]",
            shows: "[ 2 3 ]",
        }],
        run: Run::One(|m, v| round(m, "ceil", v, f64::ceil)),
    },
    Builtin {
        name: "floor",
        params: &["number"],
        doc: "The greatest integer that is not above *number*.",
        examples: &[Example { source: "builtins.floor (-1.2)", shows: "-2" }],
        run: Run::One(|m, v| round(m, "floor", v, f64::floor)),
    },
    Builtin {
        name: "lessThan",
        params: &["e1", "e2"],
        doc: "Whether *e1* comes before *e2*, as `<` does: numbers, strings by bytes, paths by their \
              text, lists by their first unequal pair.",
        examples: &[
            Example { source: "builtins.lessThan 1 1.5", shows: "true" },
            Example { source: r#"builtins.lessThan "B" "a""#, shows: "true" },
        ],
        run: Run::Two(less_than),
    },
];

/// Two numbers: integers, or at least one float.
enum Pair {
    Ints(i64, i64),
    Floats(f64, f64),
}

fn numbers(m: &mut Machine, name: &str, a: Value, b: Value) -> Result<Pair, Error> {
    let (a, b) = (m.force(a)?, m.force(b)?);
    let left = match a.view() {
        View::Int(n) => Ok(n),
        View::Float(x) => Err(x),
        _ => {
            return Err(m.wrong_type(
                "a number",
                a,
                &format!("the first argument of 'builtins.{name}'"),
            ));
        }
    };
    let right = match b.view() {
        View::Int(n) => Ok(n),
        View::Float(x) => Err(x),
        _ => {
            return Err(m.wrong_type(
                "a number",
                b,
                &format!("the second argument of 'builtins.{name}'"),
            ));
        }
    };
    let float = |n: Result<i64, f64>| n.map_or_else(|x| x, |n| n as f64);
    Ok(match (left, right) {
        (Ok(a), Ok(b)) => Pair::Ints(a, b),
        (a, b) => Pair::Floats(float(a), float(b)),
    })
}

fn add(m: &mut Machine, a: Value, b: Value) -> Result<Value, Error> {
    match numbers(m, "add", a, b)? {
        Pair::Ints(a, b) => {
            let sum = a.checked_add(b).ok_or_else(|| error::overflow("adding", a, "+", b))?;
            Ok(m.new_int(sum))
        }
        Pair::Floats(a, b) => Ok(m.new_float(a + b)),
    }
}

fn sub(m: &mut Machine, a: Value, b: Value) -> Result<Value, Error> {
    match numbers(m, "sub", a, b)? {
        Pair::Ints(a, b) => {
            let difference =
                a.checked_sub(b).ok_or_else(|| error::overflow("subtracting", a, "-", b))?;
            Ok(m.new_int(difference))
        }
        Pair::Floats(a, b) => Ok(m.new_float(a - b)),
    }
}

fn mul(m: &mut Machine, a: Value, b: Value) -> Result<Value, Error> {
    match numbers(m, "mul", a, b)? {
        Pair::Ints(a, b) => {
            let product =
                a.checked_mul(b).ok_or_else(|| error::overflow("multiplying", a, "*", b))?;
            Ok(m.new_int(product))
        }
        Pair::Floats(a, b) => Ok(m.new_float(a * b)),
    }
}

fn div(m: &mut Machine, a: Value, b: Value) -> Result<Value, Error> {
    // COMPAT: the divisor is looked at first, once both are evaluated.
    let (a, b) = (m.force(a)?, m.force(b)?);
    if matches!(b.view(), View::Int(0)) || matches!(b.view(), View::Float(x) if x == 0.0) {
        return Err(error::division_by_zero());
    }
    match numbers(m, "div", a, b)? {
        Pair::Ints(a, b) => {
            let quotient =
                a.checked_div(b).ok_or_else(|| error::overflow("dividing", a, "/", b))?;
            Ok(m.new_int(quotient))
        }
        Pair::Floats(a, b) => Ok(m.new_float(a / b)),
    }
}

fn bits(
    m: &mut Machine,
    name: &str,
    a: Value,
    b: Value,
    combine: fn(i64, i64) -> i64,
) -> Result<Value, Error> {
    let a = m.force_int(a, &format!("the first argument of 'builtins.{name}'"))?;
    let b = m.force_int(b, &format!("the second argument of 'builtins.{name}'"))?;
    Ok(m.new_int(combine(a, b)))
}

fn round(m: &mut Machine, name: &str, v: Value, how: fn(f64) -> f64) -> Result<Value, Error> {
    let v = m.force(v)?;
    let x = match v.view() {
        View::Int(n) => {
            // The argument is a float; an integer that no float holds would come back changed.
            if n as f64 as i128 != i128::from(n) {
                return Err(Error::new(
                    Class::Arith,
                    format!("the integer {n} given to 'builtins.{name}' has no exact float"),
                ));
            }
            return Ok(v);
        }
        View::Float(x) => x,
        _ => {
            return Err(m.wrong_type("a number", v, &format!("the argument of 'builtins.{name}'")));
        }
    };
    let rounded = how(x);
    // 2^63 is a float; i64::MAX is not.
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
        let x = crate::value::number::format_g(x);
        return Err(Error::new(
            Class::Arith,
            format!("the float {x} given to 'builtins.{name}' is out of the range of integers"),
        ));
    }
    Ok(m.new_int(rounded as i64))
}

fn less_than(m: &mut Machine, a: Value, b: Value) -> Result<Value, Error> {
    Ok(Value::bool(m.less(a, b)?))
}
