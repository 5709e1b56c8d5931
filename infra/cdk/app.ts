// The stack of infra/template.yaml, and its parameters: cdk deploy --parameters HostedZoneIds=Z1,Z2
// In an app of your own, take the construct and give it your zones and topics instead.
import { App, Stack } from 'aws-cdk-lib';

import { Secondary53 } from './secondary53';

const app = new App();
const stack = new Stack(app, 'secondary53', { description: 'secondary53: Route 53 as a DNS secondary' });
new Secondary53(stack, 'Secondary53');
