// The construct is the template: what the CDK makes of it is compared with what another reader of YAML makes of it.
import { test } from 'node:test';
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';

import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { PublicHostedZone } from 'aws-cdk-lib/aws-route53';
import { Topic } from 'aws-cdk-lib/aws-sns';

import { Secondary53, Secondary53Props } from './secondary53';

const ROOT = path.join(__dirname, '..', '..', '..');

function code(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'secondary53-'));
  writeFileSync(path.join(folder, 'bootstrap'), '#!/bin/sh\n', { mode: 0o755 });
  return folder;
}

function synthesised(props: (stack: Stack) => Secondary53Props): Template {
  const stack = new Stack(new App(), 'secondary53');
  new Secondary53(stack, 'Secondary53', { code: code(), ...props(stack) });
  return Template.fromStack(stack);
}

test('with nothing said it is the template, but for where the code is', () => {
  const read = 'import json, sys, cfnlint.decode; print(json.dumps(cfnlint.decode.decode(sys.argv[1])[0]))';
  const python = path.join(ROOT, '.local', 'venv', 'bin', 'python');
  const template = JSON.parse(
    execFileSync(python, ['-c', read, path.join(ROOT, 'infra', 'template.yaml')], { encoding: 'utf8' }),
  );
  const made = synthesised(() => ({})).toJSON();
  for (const section of ['Transform', 'Conditions', 'Resources', 'Outputs']) {
    const [ours, theirs] = [attributesAsLists(template[section]), attributesAsLists(made[section])];
    if (section === 'Resources') {
      const uri = theirs.Worker.Properties.CodeUri;
      assert.match(JSON.stringify(uri), /^\{"Bucket":\{"Fn::Sub":"cdk-.*"\},"Key":"[0-9a-f]{64}\.zip"\}$/);
      delete ours.Worker.Properties.CodeUri;
      delete theirs.Worker.Properties.CodeUri;
      delete theirs.CDKMetadata;
    }
    assert.deepEqual(theirs, ours, section);
  }
  assert.deepEqual(Object.keys(made.Parameters).sort(), [...Object.keys(template.Parameters), 'BootstrapVersion'].sort());
  assert.deepEqual(made.Rules.MadeZonesAreAllowedZones, template.Rules.MadeZonesAreAllowedZones);
});

/** YAML's !GetAtt may say A.B where JSON has ["A", "B"]; CloudFormation takes both. */
function attributesAsLists(value: unknown): any {
  return JSON.parse(JSON.stringify(value), (key, found) =>
    key === 'Fn::GetAtt' && typeof found === 'string' ? found.split('.') : found,
  );
}

test('hosted zones and a topic of the same stack can be given', () => {
  const made = synthesised((stack) => ({
    hostedZones: ['example.com', 'example.org'].map((zoneName) => new PublicHostedZone(stack, zoneName, { zoneName })),
    alarmTopic: new Topic(stack, 'Alarms'),
    allowDelegations: false,
    workers: 3,
  }));
  const json = made.toJSON();
  for (const name of ['HostedZoneIds', 'AlarmTopicArn', 'AllowDelegations', 'Workers']) {
    assert.equal(json.Parameters[name], undefined, name);
  }
  // Nothing of the stack may stand where CloudFormation decides what the stack is.
  assert.doesNotMatch(JSON.stringify([json.Conditions, json.Rules]), /GetAtt|examplecom|exampleorg|Alarms/);
  const change = made.findResources('AWS::IAM::Role').WorkerRole?.Properties.Policies[0].PolicyDocument.Statement[2];
  assert.equal(change.Sid, 'Change');
  const [, ids] = JSON.stringify(change.Resource).split('"Ids":');
  assert.match(ids ?? '', /^\{"Fn::Join":\[",arn:\*:route53:::hostedzone\/",\[\{"Ref":"examplecom\w+"\},\{"Ref":"exampleorg\w+"\}\]\]\}/);
  made.resourceCountIs('AWS::CloudWatch::Alarm', 7);
  const told = made.findResources('AWS::CloudWatch::Alarm', {
    Properties: { AlarmActions: [{ Ref: Match.stringLikeRegexp('^Alarms') }], OKActions: [{ Ref: Match.stringLikeRegexp('^Alarms') }] },
  });
  assert.equal(Object.keys(told).length, 7);
  made.hasResourceProperties('AWS::Serverless::Function', {
    Events: { Snapshots: { Properties: { ScalingConfig: { MaximumConcurrency: 3 } } } },
  });
});

test('what cannot work is an error with a way out', () => {
  const stack = new Stack(new App(), 'secondary53');
  const zone = new PublicHostedZone(stack, 'Zone', { zoneName: 'example.com' });
  assert.throws(() => new Secondary53(stack, 'A', { hostedZones: [zone], createHostedZones: true }), /all of the account/);
  assert.throws(() => new Secondary53(stack, 'B', { code: '/nowhere' }), /make lambda/);
});
