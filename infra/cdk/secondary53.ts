// The worker's side of secondary53 as a construct: queue, dead-letter queue, function, permissions, alarms.
//
// infra/template.yaml is the one source of all of it: it is read here as it is, and only what the CDK knows better is put in
// its place, which is the function's code and what comes from other constructs. One in a stack: its names are the stack's.
import { existsSync } from 'node:fs';
import * as path from 'node:path';

import { CfnOutput, Token, Validations } from 'aws-cdk-lib';
import { CfnAlarm } from 'aws-cdk-lib/aws-cloudwatch';
import { IManagedPolicy, ManagedPolicy } from 'aws-cdk-lib/aws-iam';
import { IHostedZone } from 'aws-cdk-lib/aws-route53';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { CfnFunction } from 'aws-cdk-lib/aws-sam';
import { ITopic } from 'aws-cdk-lib/aws-sns';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';
import { Construct } from 'constructs';

/** What can be said; what is not said stays a parameter of the stack, with the template's default. */
export interface Secondary53Props {
  /** The folder that holds the program `bootstrap`. Default: where `make lambda` puts it. */
  readonly code?: string;
  /** The hosted zones that the function may change. Not together with `createHostedZones`. */
  readonly hostedZones?: readonly IHostedZone[];
  /** false: the function may change no NS RRset. */
  readonly allowDelegations?: boolean;
  /** Of the function, as `code` was built. */
  readonly architecture?: 'x86_64' | 'arm64';
  /** Invocations at once, 2 to 1,000. */
  readonly workers?: number;
  /** Per cent of a zone's RRsets that a snapshot may delete without an operator's word. */
  readonly massDeletionPercent?: number;
  /** RRsets from which on the percentage counts. */
  readonly massDeletionMinRrsets?: number;
  /** The function makes a hosted zone for a zone that has none. */
  readonly createHostedZones?: boolean;
  /** A reusable delegation set for hosted zones that the function makes. */
  readonly delegationSetId?: string;
  /** Is told when an alarm goes off and when it ends. */
  readonly alarmTopic?: ITopic;
  /** Seconds after which a snapshot that waits is an alarm. */
  readonly oldestMessageSeconds?: number;
  /** Hours without any snapshot after which it is an alarm, 2 to 168. */
  readonly heartbeatHours?: number;
  /** Days that CloudWatch keeps the function's log; one of its numbers. */
  readonly logRetentionDays?: number;
  /** Makes an IAM user for the relay, for access keys. */
  readonly relayUser?: boolean;
  /** A CA's certificate in PEM: relays with a certificate of it get temporary credentials. */
  readonly relayCaCertificate?: string;
  /** The common name that a relay's certificate must have. */
  readonly relayCertificateName?: string;
  /** A user or role of another account that may send too. */
  readonly otherRelayArn?: string;
  /** The relay may list the account's hosted zones. */
  readonly relayDiscovers?: boolean;
}

/** Queue, dead-letter queue, function, permissions, alarms. */
export class Secondary53 extends Construct {
  /** For the relay's configuration, `queue.main.url`. */
  public readonly queueUrl: string;
  /** Where snapshots wait that could not be applied. */
  public readonly deadLetterQueueUrl: string;
  /** For the relay's configuration, `queue.main.overflow_bucket`. */
  public readonly overflowBucketName: string;
  /** What a relay may do, for a user or role of your own. */
  public readonly relayPolicy: IManagedPolicy;

  public constructor(scope: Construct, id: string, props: Secondary53Props = {}) {
    super(scope, id);
    if (props.createHostedZones === true && props.hostedZones !== undefined) {
      throw new Error('createHostedZones needs all of the account: the id of a zone that is not made yet is not known');
    }
    const template = new CfnInclude(this, 'Template', {
      templateFile: path.join(ROOT, 'infra', 'template.yaml'),
      parameters: parameters(props),
    });
    const reason = 'an empty AlarmTopicArn goes into no alarm: the condition HasTopic sees to that';
    Validations.of(template).acknowledge({ id: 'CloudFormation-Validate::W1030', reason });
    if (props.hostedZones !== undefined) {
      // It may not name what is made in the stack, and what it asks is answered above.
      template.node.findChild('$Rules').node.tryRemoveChild('MadeZonesAreAllowedZones');
    }

    const code = props.code ?? path.join(ROOT, 'target', 'lambda', 'bootstrap');
    if (!existsSync(path.join(code, 'bootstrap'))) {
      throw new Error(`there is no program ${path.join(code, 'bootstrap')}: build it with make lambda`);
    }
    const asset = new Asset(this, 'Code', { path: code });
    const worker = template.getResource('Worker') as CfnFunction;
    worker.codeUri = { bucket: asset.s3BucketName, key: asset.s3ObjectKey };

    if (props.alarmTopic !== undefined) {
      // As the parameter AlarmTopicArn it would stand in a condition, where nothing of the stack may.
      const actions = [props.alarmTopic.topicArn];
      for (const alarm of this.node.findAll().filter((child) => child instanceof CfnAlarm)) {
        alarm.alarmActions = actions;
        alarm.okActions = actions;
      }
    }

    const output = (name: string): string => Token.asString((template.getOutput(name) as CfnOutput).value);
    this.queueUrl = output('QueueUrl');
    this.deadLetterQueueUrl = output('DeadLetterQueueUrl');
    this.overflowBucketName = output('OverflowBucketName');
    this.relayPolicy = ManagedPolicy.fromManagedPolicyArn(this, 'RelayPolicy', output('RelayPolicyArn'));
  }
}

// Of the repository, from build/.
const ROOT = path.join(__dirname, '..', '..', '..');

function parameters(props: Secondary53Props): Record<string, unknown> {
  const given = {
    HostedZoneIds: props.hostedZones?.map((zone) => zone.hostedZoneId),
    AllowDelegations: props.allowDelegations?.toString(),
    Architecture: props.architecture,
    Workers: props.workers,
    MassDeletionPercent: props.massDeletionPercent,
    MassDeletionMinRrsets: props.massDeletionMinRrsets,
    CreateHostedZones: props.createHostedZones?.toString(),
    DelegationSetId: props.delegationSetId,
    AlarmTopicArn: props.alarmTopic && '',
    OldestMessageSeconds: props.oldestMessageSeconds,
    HeartbeatHours: props.heartbeatHours,
    LogRetentionDays: props.logRetentionDays,
    RelayUser: props.relayUser?.toString(),
    RelayCaCertificate: props.relayCaCertificate,
    RelayCertificateName: props.relayCertificateName,
    OtherRelayArn: props.otherRelayArn,
    RelayDiscovers: props.relayDiscovers?.toString(),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
