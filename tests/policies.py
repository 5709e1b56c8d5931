#!/usr/bin/env python3
"""The policies of infra/template.yaml, asked what they allow and what they do not.

Written out for given parameters, and evaluated by ministack's reading of IAM: explicit deny, allow, implicit deny, resources
with wildcards, conditions over sets. What it cannot show is what AWS itself puts into a request's condition keys; the
sets here are as "Using IAM policy conditions for fine-grained access control" (Amazon Route 53 Developer Guide) has them.
"""

import json
import re
import unittest
from pathlib import Path

import cfnlint.decode
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

TEMPLATE = Path(__file__).resolve().parent.parent / "infra" / "template.yaml"

ZONE, OTHER_ZONE = "arn:aws:route53:::hostedzone/Z1", "arn:aws:route53:::hostedzone/Z9"
BUCKET = "arn:aws:s3:::OverflowBucket"
WANTED = {"HostedZoneIds": "Z1,Z2"}

ROUTE53_TYPES = "A AAAA CAA CNAME DS HTTPS MX NAPTR NS PTR SOA SPF SRV SSHFP SVCB TLSA TXT".split()

# What the worker asks for, each call of it (lambda/src/route53.rs, quarantine.rs) and of Lambda's poller for it.
WORKER_NEEDS = [
    ("route53:ListHostedZonesByName", "*"),
    ("route53:GetHostedZone", ZONE),
    ("route53:GetHostedZoneLimit", ZONE),
    ("route53:ListResourceRecordSets", ZONE),
    ("sqs:ReceiveMessage", "arn:aws:sqs:Queue"),
    ("sqs:DeleteMessage", "arn:aws:sqs:Queue"),
    ("sqs:GetQueueAttributes", "arn:aws:sqs:Queue"),
    ("sqs:ChangeMessageVisibility", "arn:aws:sqs:Queue"),
    ("sqs:SendMessage", "arn:aws:sqs:DeadLetterQueue"),
    ("s3:GetObject", f"{BUCKET}/snapshots/abc"),
    ("logs:CreateLogStream", "arn:aws:logs:WorkerLog:*"),
    ("logs:PutLogEvents", "arn:aws:logs:WorkerLog:*"),
]
WORKER_HAS_NO_BUSINESS = [
    ("route53:DeleteHostedZone", ZONE),
    ("route53:CreateHostedZone", "*"),
    ("route53:ListHostedZones", "*"),
    ("route53:ListResourceRecordSets", OTHER_ZONE),
    ("route53:DeleteResourceRecordSetProtections", ZONE),
    ("route53:DisableHostedZoneDNSSEC", ZONE),
    ("route53:AssociateVPCWithHostedZone", ZONE),
    ("sqs:SendMessage", "arn:aws:sqs:Queue"),
    ("sqs:ReceiveMessage", "arn:aws:sqs:DeadLetterQueue"),
    ("sqs:PurgeQueue", "arn:aws:sqs:Queue"),
    ("s3:GetObject", f"{BUCKET}/elsewhere"),
    ("s3:PutObject", f"{BUCKET}/snapshots/abc"),
    ("s3:DeleteObject", f"{BUCKET}/snapshots/abc"),
    ("logs:CreateLogGroup", "*"),
    ("logs:PutLogEvents", "arn:aws:logs:AnotherLog:*"),
    ("iam:PassRole", "*"),
]
RELAY_HAS_NO_BUSINESS = [
    ("sqs:SendMessage", "arn:aws:sqs:DeadLetterQueue"),
    ("sqs:ReceiveMessage", "arn:aws:sqs:Queue"),
    ("sqs:DeleteMessage", "arn:aws:sqs:Queue"),
    ("sqs:PurgeQueue", "arn:aws:sqs:Queue"),
    ("s3:GetObject", f"{BUCKET}/snapshots/abc"),
    ("s3:PutObject", f"{BUCKET}/elsewhere"),
    ("s3:ListBucket", BUCKET),
    ("route53:ChangeResourceRecordSets", ZONE),
    ("route53:ListResourceRecordSets", ZONE),
    ("route53:ListHostedZones", "*"),
    ("lambda:InvokeFunction", "*"),
    ("sts:AssumeRole", "*"),
]


class Worker(unittest.TestCase):
    def test_it_may_do_what_it_does_and_nothing_else(self):
        worker = Stack(WANTED).role("WorkerRole")
        self.expect(worker, "Allow", WORKER_NEEDS)
        self.expect(worker, "ImplicitDeny", WORKER_HAS_NO_BUSINESS)

    def test_it_changes_named_zones_only(self):
        worker = Stack(WANTED).role("WorkerRole")
        for zone in ("Z1", "Z2"):
            self.assertEqual(change(worker, zone, ["CREATE", "DELETE", "UPSERT"], ROUTE53_TYPES), "Allow")
        for zone in ("Z3", "Z", "Z11", "*"):
            self.assertEqual(change(worker, zone, ["CREATE"], ["A"]), "ImplicitDeny", zone)
        self.assertEqual(change(Stack({}).role("WorkerRole"), "Z3", ["CREATE"], ["A"]), "Allow")

    def test_it_changes_them_in_every_partition(self):
        worker = Stack(WANTED).role("WorkerRole")
        for partition in ("aws", "aws-cn", "aws-us-gov"):
            zones = f"arn:{partition}:route53:::hostedzone/"
            self.assertEqual(change(worker, "Z1", ["CREATE"], ["A"], zones), "Allow", partition)
            self.assertEqual(ask(worker, "route53:ListResourceRecordSets", f"{zones}Z2"), "Allow", partition)
            self.assertEqual(change(worker, "Z3", ["CREATE"], ["A"], zones), "ImplicitDeny", partition)

    def test_no_other_action_or_type_passes_even_beside_others(self):
        worker = Stack(WANTED).role("WorkerRole")
        self.assertEqual(change(worker, "Z1", ["CREATE", "DROP"], ["A"]), "ImplicitDeny")
        self.assertEqual(change(worker, "Z1", ["CREATE"], ["A", "LOC"]), "ImplicitDeny")
        # A request whose sets are missing: for all values of none is true, so the policy asks that they are there.
        self.assertEqual(ask(worker, "route53:ChangeResourceRecordSets", ZONE), "ImplicitDeny")

    def test_without_delegations_no_ns_passes_and_so_not_the_apexs(self):
        worker = Stack(WANTED | {"AllowDelegations": "false"}).role("WorkerRole")
        others = [rtype for rtype in ROUTE53_TYPES if rtype != "NS"]
        self.assertEqual(change(worker, "Z1", ["CREATE", "DELETE", "UPSERT"], others), "Allow")
        for types in (["NS"], ["A", "NS"], ["NS", "SOA"]):
            self.assertEqual(change(worker, "Z1", ["UPSERT"], types), "ImplicitDeny", types)

    def test_zones_are_made_only_where_that_is_wanted(self):
        worker = Stack({"CreateHostedZones": "true"}).role("WorkerRole")
        self.assertEqual(ask(worker, "route53:CreateHostedZone", "*"), "Allow")
        self.assertEqual(ask(worker, "route53:DeleteHostedZone", OTHER_ZONE), "ImplicitDeny")

    def expect(self, policies, decision, calls):
        for action, resource in calls:
            self.assertEqual(ask(policies, action, resource), decision, f"{action} on {resource}")


class Relay(unittest.TestCase):
    def test_it_sends_and_does_nothing_else(self):
        relay = Stack(WANTED).managed("RelayPolicy")
        self.assertEqual(ask(relay, "sqs:SendMessage", "arn:aws:sqs:Queue"), "Allow")
        self.assertEqual(ask(relay, "s3:PutObject", f"{BUCKET}/snapshots/abc"), "Allow")
        for action, resource in RELAY_HAS_NO_BUSINESS:
            self.assertEqual(ask(relay, action, resource), "ImplicitDeny", f"{action} on {resource}")

    def test_it_lists_zones_only_where_it_discovers_them(self):
        relay = Stack({"RelayDiscovers": "true"}).managed("RelayPolicy")
        self.assertEqual(ask(relay, "route53:ListHostedZones", "*"), "Allow")
        self.assertEqual(ask(relay, "route53:ChangeResourceRecordSets", ZONE), "ImplicitDeny")

    def test_a_certificate_counts_by_its_anchor_and_its_name(self):
        trust = Stack({"RelayCaCertificate": "PEM", "RelayCertificateName": "ns1"}).properties("RelayRole")
        trust = [parse_policy_document(trust["AssumeRolePolicyDocument"])]
        for anchor, name, decision in [
            ("arn:aws:rolesanywhere:RelayTrustAnchor", "ns1", "Allow"),
            ("arn:aws:rolesanywhere:RelayTrustAnchor", "ns2", "ImplicitDeny"),
            ("arn:aws:rolesanywhere:another", "ns1", "ImplicitDeny"),
        ]:
            keys = {"aws:sourcearn": anchor, "aws:principaltag/x509subject/cn": name}
            self.assertEqual(ask(trust, "sts:AssumeRole", "*", keys), decision, (anchor, name))


class Everybody(unittest.TestCase):
    def test_nothing_goes_in_the_clear(self):
        stack = Stack(WANTED)
        for policy, action, resource in [
            ("QueuePolicy", "sqs:SendMessage", "arn:aws:sqs:Queue"),
            ("QueuePolicy", "sqs:ReceiveMessage", "arn:aws:sqs:DeadLetterQueue"),
            ("OverflowBucketPolicy", "s3:GetObject", f"{BUCKET}/snapshots/abc"),
        ]:
            document = stack.managed(policy)
            self.assertEqual(ask(document, action, resource, secure=False), "Deny")
            self.assertEqual(ask(document, action, resource), "ImplicitDeny")

    def test_another_accounts_relay_may_send_and_no_more(self):
        other = Stack({"OtherRelayArn": "arn:aws:iam::111111111111:role/relay"})
        statements = other.properties("QueuePolicy")["PolicyDocument"]["Statement"]
        self.assertEqual([each["Effect"] for each in statements], ["Deny", "Allow"])
        self.assertEqual(statements[1]["Principal"], {"AWS": "arn:aws:iam::111111111111:role/relay"})
        queues, bucket = other.managed("QueuePolicy"), other.managed("OverflowBucketPolicy")
        self.assertEqual(ask(queues, "sqs:SendMessage", "arn:aws:sqs:Queue"), "Allow")
        self.assertEqual(ask(queues, "sqs:ReceiveMessage", "arn:aws:sqs:Queue"), "ImplicitDeny")
        self.assertEqual(ask(queues, "sqs:SendMessage", "arn:aws:sqs:DeadLetterQueue"), "ImplicitDeny")
        self.assertEqual(ask(bucket, "s3:PutObject", f"{BUCKET}/snapshots/abc"), "Allow")
        self.assertEqual(ask(bucket, "s3:GetObject", f"{BUCKET}/snapshots/abc"), "ImplicitDeny")

    def test_no_statement_allows_every_action_of_a_service(self):
        text = json.dumps([Stack(WANTED).properties(name) for name in ("WorkerRole", "RelayPolicy")])
        self.assertNotRegex(text, r'"[a-z0-9]+:\*"')


class Alarms(unittest.TestCase):
    def test_what_the_metric_filters_look_for_is_what_the_worker_logs(self):
        source = "".join(path.read_text() for path in (TEMPLATE.parent.parent / "lambda" / "src").glob("*.rs"))
        patterns = [
            resource["Properties"]["FilterPattern"]
            for resource in Stack({}).resources.values()
            if resource["Type"] == "AWS::Logs::MetricFilter"
        ]
        wanted = set(re.findall(r'"(\w+)"', " ".join(patterns)))
        self.assertEqual(wanted, {"quarantined", "held", "retry", "applied"})
        for word in wanted - {"held"}:
            self.assertIn(f'"{word}"', source)


def ask(policies, action, resource, keys=None, secure=True):
    context = EvalContext(
        principal_arn="arn:aws:iam::000000000000:role/asked",
        principal_type="AssumedRole",
        principal_account="000000000000",
        action=action,
        resource_arn=resource,
        region="eu-west-1",
        secure_transport=secure,
        service_context=keys or {},
    )
    return evaluate(context, policies).decision


def change(policies, zone, actions, types, zones="arn:aws:route53:::hostedzone/"):
    prefix = "route53:changeresourcerecordsets"
    keys = {f"{prefix}actions": actions, f"{prefix}recordtypes": types, f"{prefix}normalizedrecordnames": ["example.com"]}
    return ask(policies, "route53:ChangeResourceRecordSets", f"{zones}{zone}", keys)


class Stack:
    """The template with its parameters and functions resolved, as far as policies need it."""

    def __init__(self, parameters):
        template, faults = cfnlint.decode.decode(str(TEMPLATE))
        assert not faults, faults
        template = json.loads(json.dumps(template))
        self.parameters = {name: str(given["Default"]) for name, given in template["Parameters"].items()} | parameters
        self.lists = {n for n, given in template["Parameters"].items() if given["Type"] == "CommaDelimitedList"}
        self.conditions = template["Conditions"]
        self.resources = template["Resources"]

    def role(self, name):
        return [parse_policy_document(policy["PolicyDocument"]) for policy in self.properties(name)["Policies"]]

    def managed(self, name):
        return [parse_policy_document(self.properties(name)["PolicyDocument"])]

    def properties(self, name):
        return self.resolve(self.resources[name]["Properties"])

    def resolve(self, value):
        if isinstance(value, list):
            return [given for given in map(self.resolve, value) if given is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function == "Ref":
                return self.reference(argument)
            if function.startswith("Fn::"):
                return getattr(self, function.removeprefix("Fn::").lower())(argument)
        return {key: self.resolve(given) for key, given in value.items()}

    def reference(self, name):
        if name == "AWS::NoValue":
            return None
        if name in self.lists:
            return self.parameters[name].split(",")
        return self.parameters.get(name, name)

    def getatt(self, argument):
        name, attribute = argument
        arns = {"Queue": "sqs", "DeadLetterQueue": "sqs", "WorkerLog": "logs", "RelayTrustAnchor": "rolesanywhere"}
        if name == "OverflowBucket":
            return BUCKET
        if name in arns and attribute.endswith("Arn"):
            return f"arn:aws:{arns[name]}:{name}" + (":*" if name == "WorkerLog" else "")
        return f"{name}.{attribute}"

    def sub(self, argument):
        text, given = argument if isinstance(argument, list) else (argument, {})
        values = self.resolve(given)

        def value(found):
            name = found.group(1)
            return values[name] if name in values else self.getatt(name.split(".")) if "." in name else self.reference(name)

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def join(self, argument):
        return argument[0].join(self.resolve(argument[1]))

    def split(self, argument):
        return self.resolve(argument[1]).split(argument[0])

    def equals(self, argument):
        left, right = self.resolve(argument)
        return left == right

    def __getattr__(self, name):
        # Python's own words cannot be the names of methods above.
        functions = {
            "if": lambda argument: self.resolve(argument[1 if self.resolve(self.conditions[argument[0]]) else 2]),
            "not": lambda argument: not self.resolve(argument[0]),
        }
        return functions[name]


if __name__ == "__main__":
    unittest.main()
