"""Writes statistics.json: paired t tests, TOST, sign flips, Holm, Mann-Whitney and power of scipy and statsmodels."""
import json
import pathlib

import numpy as np
import scipy
import scipy.integrate
import scipy.stats
import statsmodels
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

rng = np.random.default_rng(15)


def paired(n, shift, scale, margin):
    a = 40 + rng.normal(size=n)
    b = a - (shift + scale * rng.standard_t(4, size=n))
    a, b = np.round(a, 3), np.round(b, 3)
    d = a - b
    low, high = scipy.stats.ttest_1samp(d, 0).confidence_interval(0.95)
    flip = None
    if 8 <= n <= 14:
        test = scipy.stats.permutation_test((d,), np.sum, permutation_type="samples", n_resamples=np.inf)
        flip = test.pvalue
    return {
        "a": a.tolist(), "b": b.tolist(), "margin": margin, "low": low, "high": high,
        "p": scipy.stats.ttest_rel(a, b).pvalue, "equivalence": ttost_paired(a, b, -margin, margin)[0], "flip": flip,
        "improvement": scipy.stats.mannwhitneyu(a, b).statistic / n**2,
    }



def equivalence_power(margin, n, level):
    """Two one-sided tests at difference 0 and sd 1, by scipy's quadrature over the sample's variance."""
    t, v = scipy.stats.t.ppf(1 - level, n - 1), n - 1

    def given(q):
        s = np.sqrt(q / v)
        return max(0.0, 2 * scipy.stats.norm.cdf(margin * np.sqrt(n) - t * s) - 1) * scipy.stats.chi2.pdf(q, v)

    most = v * (margin * np.sqrt(n) / t) ** 2
    return scipy.integrate.quad(given, 0, min(most, v + 60 * np.sqrt(2 * v)), epsabs=1e-12, limit=500)[0]


families = [rng.uniform(0, 0.2, size=m).round(4).tolist() for m in (1, 2, 5, 9)] + [[0.03, 0.01, 0.03, 0.01, 0.5]]
out = {
    "scipy": scipy.__version__, "statsmodels": statsmodels.__version__,
    "paired": [paired(*c) for c in [(2, 1, 1, 0.5), (3, 0.4, 0.2, 0.5), (5, 0, 1, 2), (8, 0.5, 0.5, 0.7), (9, -0.4, 0.5, 1), (14, 0.1, 0.3, 0.3)]],
    "holm": [{"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()} for p in families],
    "power": [{"effect": e, "n": n, "level": a, "power": float(TTestPower().power(e, n, a, alternative="two-sided"))}
              for e, n, a in [(1, 5, 0.05), (0.5, 30, 0.05), (2, 3, 0.05), (0, 7, 0.05), (0.8, 12, 0.01), (4, 2, 0.05)]],
    "equivalence_power": [{"margin": e, "n": n, "level": a, "power": equivalence_power(e, n, a)}
                          for e, n, a in [(1, 10, 0.05), (2, 5, 0.025), (0.5, 40, 0.05), (3, 3, 0.05)]],
}
path = pathlib.Path(__file__).with_name("statistics.json")
path.write_text(json.dumps(out, indent=1) + "\n")
