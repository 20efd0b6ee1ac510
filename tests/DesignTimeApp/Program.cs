using DesignTimeApp;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NeoCommons.EfCore;

// What dotnet ef is to work with: tenants' contexts and a shared one, no configuration, no database.
var binding = Enum.Parse<SchemaBinding>(
    Environment.GetEnvironmentVariable("BINDING") ?? nameof(SchemaBinding.SearchPath)
);
var builder = Host.CreateApplicationBuilder(args);
builder
    .Services.AddNeoCommons(builder.Configuration)
    .UseAdminDatabase()
    .AddTenantDbContext<LibraryContext>(o => o.UseSchemaBinding(binding))
    .AddTenantDbContext<FreshContext>(o => o.UseSchemaBinding(binding).ForTenantTypes("library"))
    .AddSharedDbContext<LanguagesContext>();
await builder.Build().RunAsync();
