"""The prefixes that issuers give their opaque tokens and keys, so that a text alone tells what it is.

Pure data: imports nothing of the project, so that masking can use it as well. One row per prefix; where rows
share a beginning the longest prefix decides, whatever their order.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_ANTHROPIC = "https://platform.claude.com/docs/en/api/overview"
_AWS = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"
_GITHUB = "https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github"
_GITLAB = "https://docs.gitlab.com/security/tokens/"
_GOOGLE = "https://developers.google.com/identity/protocols/oauth2"
_SHOPIFY = "https://shopify.dev/changelog/length-of-the-shopify-access-token-is-increasing"
_SLACK = "https://docs.slack.dev/authentication/tokens/"
_STRIPE = "https://docs.stripe.com/keys"
_VAULT = "https://developer.hashicorp.com/vault/docs/concepts/tokens"
# What scanners for secrets look for, where the issuer publishes the prefix on no page of its own.
_GITLEAKS = "https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml"


class TokenPrefix(NamedTuple):
    """How the tokens of one kind begin."""

    prefix: str
    """The characters they begin with; upper and lower case count."""
    kind: str
    """What such a token is, as a noun with its issuer's name first."""
    shortest: int
    """Fewest characters that follow; a shorter text is a word that happens to begin like this."""
    source: str
    """Where the prefix is published."""


PREFIXES = (
    TokenPrefix("sk-ant-", "Anthropic API key", 16, _ANTHROPIC),
    TokenPrefix("sk-ant-oat", "Anthropic OAuth token", 16, _ANTHROPIC),
    TokenPrefix("ATATT3", "Atlassian API token", 20, _GITLEAKS),
    TokenPrefix("AKIA", "AWS access key id", 16, _AWS),
    TokenPrefix("ASIA", "AWS temporary access key id", 16, _AWS),
    TokenPrefix("ABSK", "AWS Bedrock API key", 40, _GITLEAKS),
    TokenPrefix("bedrock-api-key-", "AWS Bedrock short-term API key", 20, _GITLEAKS),
    TokenPrefix("dapi", "Databricks personal access token", 32, _GITLEAKS),
    TokenPrefix("dop_v1_", "DigitalOcean personal access token", 20, _GITLEAKS),
    TokenPrefix("doo_v1_", "DigitalOcean OAuth token", 20, _GITLEAKS),
    TokenPrefix("dor_v1_", "DigitalOcean refresh token", 20, _GITLEAKS),
    TokenPrefix("dckr_pat_", "Docker Hub personal access token", 20, "https://docs.docker.com/security/access-tokens/"),
    TokenPrefix("dckr_oat_", "Docker Hub organization access token", 20, "https://docs.docker.com/enterprise/security/access-tokens/"),
    TokenPrefix("dp.pt.", "Doppler personal token", 20, _GITLEAKS),
    TokenPrefix("figd_", "Figma personal access token", 20, "https://developers.figma.com/docs/rest-api/authentication/"),
    TokenPrefix("fo1_", "Fly.io access token", 20, _GITLEAKS),
    TokenPrefix("ghp_", "GitHub personal access token (classic)", 20, _GITHUB),
    TokenPrefix("github_pat_", "GitHub fine-grained personal access token", 20, _GITHUB),
    TokenPrefix("gho_", "GitHub OAuth access token", 20, _GITHUB),
    TokenPrefix("ghu_", "GitHub App user access token", 20, _GITHUB),
    TokenPrefix("ghs_", "GitHub App installation access token", 20, _GITHUB),
    TokenPrefix("ghr_", "GitHub App refresh token", 20, _GITHUB),
    TokenPrefix("glpat-", "GitLab personal access token", 16, _GITLAB),
    TokenPrefix("gloas-", "GitLab OAuth application secret", 16, _GITLAB),
    TokenPrefix("gldt-", "GitLab deploy token", 16, _GITLAB),
    TokenPrefix("glrt-", "GitLab runner authentication token", 16, _GITLAB),
    TokenPrefix("glcbt-", "GitLab CI/CD job token", 16, _GITLAB),
    TokenPrefix("glptt-", "GitLab trigger token", 16, _GITLAB),
    TokenPrefix("glft-", "GitLab feed token", 16, _GITLAB),
    TokenPrefix("glimt-", "GitLab incoming mail token", 16, _GITLAB),
    TokenPrefix("glagent-", "GitLab agent token", 16, _GITLAB),
    TokenPrefix("glsoat-", "GitLab SCIM token", 16, _GITLAB),
    TokenPrefix("glffct-", "GitLab feature flags client token", 16, _GITLAB),
    TokenPrefix("ya29.", "Google OAuth access token", 16, _GOOGLE),
    TokenPrefix("1//0", "Google OAuth refresh token", 20, _GOOGLE),
    TokenPrefix("GOCSPX-", "Google OAuth client secret", 20, _GOOGLE),
    TokenPrefix("AIza", "Google API key", 30, "https://cloud.google.com/docs/authentication/api-keys"),
    TokenPrefix("glsa_", "Grafana service account token", 20, _GITLEAKS),
    TokenPrefix("glc_", "Grafana Cloud access policy token", 20, _GITLEAKS),
    TokenPrefix("gsk_", "Groq API key", 20, "https://console.groq.com/docs/quickstart"),
    TokenPrefix("hvs.", "HashiCorp Vault service token", 20, _VAULT),
    TokenPrefix("hvb.", "HashiCorp Vault batch token", 20, _VAULT),
    TokenPrefix("hvr.", "HashiCorp Vault recovery token", 20, _VAULT),
    TokenPrefix("HRKU-", "Heroku API key", 20, _GITLEAKS),
    TokenPrefix("hf_", "Hugging Face access token", 20, "https://huggingface.co/docs/hub/security-tokens"),
    TokenPrefix("lsv2_pt_", "LangSmith personal access token", 20, "https://docs.langchain.com/langsmith/create-account-api-key"),
    TokenPrefix("lsv2_sk_", "LangSmith service key", 20, "https://docs.langchain.com/langsmith/create-account-api-key"),
    TokenPrefix("lin_api_", "Linear API key", 20, "https://linear.app/developers/graphql"),
    TokenPrefix("lin_oauth_", "Linear OAuth access token", 20, "https://linear.app/developers/oauth-2-0-authentication"),
    TokenPrefix("ntn_", "Notion API token", 20, _GITLEAKS),
    TokenPrefix("npm_", "npm access token", 20, "https://docs.npmjs.com/about-access-tokens"),
    TokenPrefix("sk-", "secret key as OpenAI and those that follow it write them", 16, "https://platform.openai.com/docs/api-reference/authentication"),
    TokenPrefix("sk-proj-", "OpenAI project API key", 20, _GITLEAKS),
    TokenPrefix("sk-svcacct-", "OpenAI service account API key", 20, _GITLEAKS),
    TokenPrefix("sk-admin-", "OpenAI admin API key", 20, _GITLEAKS),
    TokenPrefix("sk-or-", "OpenRouter API key", 20, "https://openrouter.ai/docs/api-reference/authentication"),
    TokenPrefix("ops_eyJ", "1Password service account token", 20, _GITLEAKS),
    TokenPrefix("sha256~", "OpenShift OAuth access token", 20, _GITLEAKS),
    TokenPrefix("pplx-", "Perplexity API key", 20, _GITLEAKS),
    TokenPrefix("pscale_tkn_", "PlanetScale service token", 20, _GITLEAKS),
    TokenPrefix("pscale_oauth_", "PlanetScale OAuth token", 20, _GITLEAKS),
    TokenPrefix("PMAK-", "Postman API key", 20, _GITLEAKS),
    TokenPrefix("pul-", "Pulumi access token", 20, _GITLEAKS),
    TokenPrefix("pypi-", "PyPI API token", 20, "https://pypi.org/help/#apitoken"),
    TokenPrefix("r8_", "Replicate API token", 20, "https://replicate.com/docs/reference/http"),
    TokenPrefix("rubygems_", "RubyGems API key", 20, _GITLEAKS),
    TokenPrefix("SG.", "SendGrid API key", 40, _GITLEAKS),
    TokenPrefix("sntrys_", "Sentry organization token", 20, _GITLEAKS),
    TokenPrefix("sntryu_", "Sentry user token", 20, _GITLEAKS),
    TokenPrefix("shpat_", "Shopify Admin API access token", 20, _SHOPIFY),
    TokenPrefix("shpca_", "Shopify custom app access token", 20, _SHOPIFY),
    TokenPrefix("shppa_", "Shopify private app access token", 20, _SHOPIFY),
    TokenPrefix("shpss_", "Shopify app shared secret", 20, _SHOPIFY),
    TokenPrefix("xoxb-", "Slack bot token", 16, _SLACK),
    TokenPrefix("xoxp-", "Slack user token", 16, _SLACK),
    TokenPrefix("xoxe-", "Slack refresh token", 16, _SLACK),
    TokenPrefix("xoxe.", "Slack rotating access token", 16, _SLACK),
    TokenPrefix("xapp-", "Slack app-level token", 16, _SLACK),
    TokenPrefix("xwfp-", "Slack workflow token", 16, _SLACK),
    TokenPrefix("xoxa-", "Slack workspace token", 8, _GITLEAKS),
    TokenPrefix("xoxr-", "Slack legacy refresh token", 8, _GITLEAKS),
    TokenPrefix("xoxs-", "Slack legacy session token", 16, _GITLEAKS),
    TokenPrefix("sgp_", "Sourcegraph access token", 20, _GITLEAKS),
    TokenPrefix("sq0atp-", "Square access token", 16, _GITLEAKS),
    TokenPrefix("sk_live_", "Stripe secret key", 10, _STRIPE),
    TokenPrefix("sk_test_", "Stripe test secret key", 10, _STRIPE),
    TokenPrefix("rk_live_", "Stripe restricted key", 10, _STRIPE),
    TokenPrefix("rk_test_", "Stripe test restricted key", 10, _STRIPE),
    TokenPrefix("whsec_", "webhook signing secret", 16, "https://docs.stripe.com/webhooks"),
    TokenPrefix("sbp_", "Supabase personal access token", 20, "https://supabase.com/docs/reference/api/introduction"),
    TokenPrefix("sb_secret_", "Supabase secret key", 16, "https://supabase.com/docs/guides/api/api-keys"),
    TokenPrefix("tskey-", "Tailscale key", 16, "https://tailscale.com/kb/1277/key-prefixes"),
    TokenPrefix("tvly-", "Tavily API key", 16, "https://docs.tavily.com/documentation/api-reference/introduction"),
    TokenPrefix("xai-", "xAI API key", 20, "https://docs.x.ai/docs/overview"),
)  # fmt: skip
"""Every prefix that is known."""

_REST = "[A-Za-z0-9_.~+/=-]"


def _pattern() -> str:
    longest_first = sorted(PREFIXES, key=lambda row: -len(row.prefix))
    rows = "|".join(f"{re.escape(row.prefix)}{_REST}{{{row.shortest},}}" for row in longest_first)
    return f"(?<![A-Za-z0-9])(?:{rows})"


TOKEN = re.compile(_pattern())
"""Finds such tokens in running text, in linear time: a row is a literal and one class of characters."""


def prefix_of(text: str) -> TokenPrefix | None:
    """Return the row that says what ``text``, a whole token, is; None when no issuer's prefix fits."""
    if not TOKEN.fullmatch(text):
        return None
    fitting = (row for row in PREFIXES if text.startswith(row.prefix))
    return max(fitting, key=lambda row: len(row.prefix))
