// What somebody's script does with heroku-client: with_heroku_client.mjs MODULES URL TOKEN APP NEW_APP
import {createRequire} from 'node:module'

const [modules, host, token, name, newName] = process.argv.slice(2)
const Heroku = createRequire(`${modules}/`)('heroku-client')
const heroku = new Heroku({token, host})

const created = await heroku.post('/apps', {body: {name: newName}})
const releases = () => heroku.get(`/apps/${name}/releases`, {headers: {Range: 'version ..; order=desc, max=1'}, partial: true})
const [before] = await releases()
const config = await heroku.patch(`/apps/${name}/config-vars`, {body: {CLIENT: 'heroku-client'}})
const [release] = await releases()
const web = await heroku.patch(`/apps/${name}/formation/web`, {body: {quantity: 2}})
const refused = await heroku.get('/apps/nobody').catch(error => error)
console.log(JSON.stringify({
  account: (await heroku.get('/account')).email,
  created: created.name,
  config: config.CLIENT,
  release: {version: release.version, description: release.description},
  web: web.quantity,
  refused: {status: refused.statusCode, id: refused.body.id},
}))
await heroku.post(`/apps/${name}/releases`, {body: {release: before.id}})
await heroku.delete(`/apps/${newName}`)
