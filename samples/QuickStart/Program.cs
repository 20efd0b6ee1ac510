using Microsoft.EntityFrameworkCore;
using NeoCommons.EfCore;
using NeoCommons.EfCore.Admin;
using NeoCommons.EfCore.AspNetCore;

var builder = WebApplication.CreateBuilder(args);
builder
    .Services.AddNeoCommons(builder.Configuration) // reads ADMIN_DATABASE_URL and DB_ENCRYPTION_KEY
    .UseAdminDatabase(o => o.MigrateOnStart = true) // databases and tenants are rows of schema "admin"
    .AddTenantDbContext<ShopDbContext>(); // tables lie in each tenant's own schema
builder.Services.AddNeoCommonsProblemDetails().AddHealthChecks().AddNeoCommons();

var app = builder.Build();
app.UseExceptionHandler();
app.UseTenantResolution(o => o.FromHeader("X-Tenant"));
app.MapHealthChecks("/health", new() { ResponseWriter = NeoCommonsHealthResponse.WriteAsync });
app.MapPost("/tenants", (NewTenant tenant, ITenantProvisioner provisioner) => provisioner.CreateAsync(tenant));
app.MapGet("/products", (ShopDbContext shop) => shop.Products.ToListAsync()); // the current tenant's
app.MapGet(
    "/products/{slug}",
    async (string slug, ITenantDbContextFactory<ShopDbContext> shops) => // any tenant's
    {
        await using var shop = await shops.CreateDbContextAsync(slug);
        return await shop.Products.CountAsync();
    }
);
return await app.RunNeoCommonsAsync(args); // runs the application, or "tenants list" and the like

public class ShopDbContext(DbContextOptions<ShopDbContext> options) : DbContext(options)
{
    public DbSet<Product> Products => Set<Product>();
}

public record Product(int Id, string Name, decimal Price);
