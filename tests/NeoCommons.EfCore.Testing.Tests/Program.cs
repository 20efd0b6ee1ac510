using NeoCommons.EfCore.Testing;
using NeoCommons.EfCore.Testing.Tests;
using Xunit.MicrosoftTestingPlatform;

// The tests start this program a second time and kill it: what becomes of the server that it started?
if (args is [Orphan.Argument])
{
    var server = await PostgresServer.StartAsync(new PostgresServerOptions { Source = ServerSource.Binaries });
    Console.WriteLine(server.ConnectionString);
    Console.WriteLine(server.DataDirectory);
    return Console.In.Read();
}

return await TestPlatformTestFramework.RunAsync(args, SelfRegisteredExtensions.AddSelfRegisteredExtensions);
